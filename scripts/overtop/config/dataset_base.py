"""What the entries of data sets share: declared sizes, shards, and splits that are drawn from the images of others."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from overtop.config.banks import BankSpec
from overtop.config.base import Count, Model, Name
from overtop.terms import OnError


class Counts(Model):
    """Declared size of a split; the rule `split` fails if the data differ."""

    images: Annotated[int, Field(ge=0)] = Field(description="number of images")
    captions: Annotated[int, Field(ge=0)] = Field(description="number of captions")


class ClassCounts(Model):
    """Declared size of a split of a data set of classes."""

    images: Count = Field(description="number of images")
    classes: Count = Field(description="number of classes")


def _check_shards(value: object) -> object:
    """Refuse the form that had a number per modality."""
    if isinstance(value, Mapping):
        raise ValueError("is one number for images and captions, such as `shards: 4`; not one for each of the two")
    return value


class HeldOut(Model):
    """A split that is drawn from the images of another one, which loses them and their captions."""

    of: Name = Field(description="a split of the files")
    share: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="share of its images")
    seed: int = Field(0, description="seed of the draw")


def check_held_out(held_out: Mapping[str, HeldOut], file_splits: Sequence[str] | None) -> None:
    """Check the names of the splits that are held out.

    Args:
        held_out: the splits by name.
        file_splits: the splits of the files; None if only the files tell.

    Raises:
        ValueError: a split exists already, or its origin does not exist or is divided more than once.
    """
    for split, held in held_out.items():
        if split == held.of or split in (file_splits or ()):
            raise ValueError(f"held_out.{split}: the files have this split; name another one")
        if held.of in held_out or (file_splits is not None and held.of not in file_splits):
            raise ValueError(f"held_out.{split}.of: the files have no split {held.of!r}")
    origins = [held.of for held in held_out.values()]
    if len(set(origins)) < len(origins):
        raise ValueError("held_out: only one split can be drawn from another one")


class StoredDataset(Model):
    """What the entries of all data sets have that have their own files."""

    shards: Annotated[Count, BeforeValidator(_check_shards)] = Field(
        1, description="slices that images and captions are divided into: one job embeds or attacks one slice"
    )
    on_error: OnError = Field(
        "fail", description="on an unreadable or missing image, or a NaN embedding: stop, or leave the item out"
    )
    expect: dict[Name, Counts] = Field({}, description="declared size of each split; a different size is an error")
    benchmark: Literal["coco", "flickr30k"] | None = Field(
        None, description="the published results that apply to its test split"
    )
    bank: BankSpec | None = Field(None, description="replaces the top-level `bank` for this data set; null: no bank")

    def source_names(self) -> list[str]:
        """Names under `sources` that it can be downloaded from."""
        return []

    def file_splits(self) -> list[str] | None:
        """The splits of its files that its entry lists; None if only its files tell."""
        return None

    def held_out_splits(self) -> dict[str, HeldOut]:
        """The splits that are drawn from the images of others."""
        return {}

    def split_names(self) -> list[str] | None:
        """All splits that its entry lists; None if only its files tell."""
        names = self.file_splits()
        return None if names is None else [*names, *self.held_out_splits()]

    def listed_splits(self) -> list[str]:
        """The splits that its entry names: all of them, or at least those of a declared size and those held out."""
        names = self.split_names()
        return [*dict.fromkeys([*self.expect, *self.held_out_splits()])] if names is None else names

    def judgment_files(self) -> dict[str, str]:
        """Files with human relevance judgments, by source."""
        return {}


class PairsDataset(StoredDataset):
    """Images with captions, some of which may be unpaired."""

    held_out: dict[Name, HeldOut] = Field(
        {}, description="further splits, each drawn from the images of another one, which loses them"
    )

    @model_validator(mode="after")
    def _check_held_out(self) -> "PairsDataset":
        check_held_out(self.held_out, self.file_splits())
        return self

    def held_out_splits(self) -> dict[str, HeldOut]:
        """The splits that are drawn from the images of others."""
        return self.held_out
