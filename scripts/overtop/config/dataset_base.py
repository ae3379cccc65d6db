"""What the entries of data sets share: declared sizes, shards, and splits that are drawn from the images of others."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from overtop.config.banks import BankSpec
from overtop.config.base import Count, Model, Name
from overtop.terms import OnError

ALL_IMAGES = "test"
"""The split of files that have no splits."""


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


Share = Annotated[float, Field(gt=0, lt=1)]


class HeldOut(Model):
    """A split that is drawn from the images of another one, which loses them and their captions."""

    of: Name = Field(description="a split of the files")
    share: Share = Field(0.1, description="share of its images")
    seed: int = Field(0, description="seed of the draw")


class SplitShares(Model):
    """Splits that are drawn from images without splits of their own; the images that are left are `test`."""

    train: Share | None = Field(None, description="share of the images")
    val: Share | None = Field(None, description="share of the images")
    seed: int = Field(0, description="seed of the draw")

    @model_validator(mode="after")
    def _check_has_share(self) -> "SplitShares":
        if not self.as_held_out():
            raise ValueError("give the share of `val`, of `train` or of both, such as `{val: 0.2}`; the rest is `test`")
        return self

    def as_held_out(self) -> dict[str, HeldOut]:
        """The same splits as splits that are held out of all images."""
        shares = {"train": self.train, "val": self.val}
        return {
            split: HeldOut(of=ALL_IMAGES, share=share, seed=self.seed)
            for split, share in shares.items()
            if share is not None
        }


def check_held_out(held_out: Mapping[str, HeldOut], file_splits: Sequence[str] | None) -> None:
    """Check the splits that are held out.

    Args:
        held_out: the splits by name.
        file_splits: the splits of the files; None if only the files tell.

    Raises:
        ValueError: a split exists already, or its origin does not exist, has no images left, or is divided with several
            seeds.
    """
    for split, held in held_out.items():
        if split == held.of or split in (file_splits or ()):
            raise ValueError(f"held_out.{split}: the files have this split; name another one")
    for split, held in held_out.items():
        if held.of in held_out or (file_splits is not None and held.of not in file_splits):
            raise ValueError(f"held_out.{split}.of: the files have no split {held.of!r}")
    for origin in {held.of for held in held_out.values()}:
        parts = [held for held in held_out.values() if held.of == origin]
        if sum(part.share for part in parts) >= 1:
            raise ValueError(f"the shares that are drawn from {origin!r} must leave some of it; reduce them")
        if len({part.seed for part in parts}) > 1:
            raise ValueError(f"all splits that are drawn from {origin!r} are one draw; give them the same `seed`")


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


class DividedDataset(StoredDataset):
    """Images with captions or classes, which can be divided into more splits than the files have."""

    held_out: dict[Name, HeldOut] = Field(
        {}, description="further splits, each drawn from the images of another one, which loses them"
    )

    @model_validator(mode="after")
    def _check_held_out(self) -> "DividedDataset":
        check_held_out(self.held_out_splits(), self.file_splits())
        return self

    def held_out_splits(self) -> dict[str, HeldOut]:
        """The splits that are drawn from the images of others."""
        return self.held_out


class UndividedDataset(DividedDataset):
    """A data set whose files need not have splits."""

    split: SplitShares | None = Field(
        None, description="shares of images for `val` and `train`, if the files have no splits; the rest is `test`"
    )

    @model_validator(mode="after")
    def _check_held_out(self) -> "UndividedDataset":
        splits = self.file_splits()
        if self.split is not None and splits != [ALL_IMAGES]:
            raise ValueError(
                f"split: the entry names the splits {', '.join(splits or [])}; divide one of them with `held_out`"
            )
        check_held_out(self.held_out_splits(), splits)
        return self

    def file_splits(self) -> list[str] | None:
        """The splits of its files that its entry lists; None if only its files tell."""
        return None if self.split is None else [ALL_IMAGES]

    def held_out_splits(self) -> dict[str, HeldOut]:
        """The splits that are drawn from the images of others."""
        return self.held_out if self.split is None else self.split.as_held_out() | self.held_out
