"""`answers` in config.yaml: new queries that are answered with a confidence model."""

from typing import Annotated

from pydantic import Field, model_validator

from overtop.config.base import Count, Model, Name, PosteriorName
from overtop.terms import Direction, Modality, OnError

_SOURCES = ("dataset", "folder", "table", "embeddings")

_KEYS_OF_SOURCES = {"split": ("dataset",), "shards": ("folder", "table"), "on_error": ("folder",)}
"""Optional keys of `Items`, and the sources that they apply to."""


class ModelSource(Model):
    """A confidence model: the posterior, and the labelled split that it is fitted on."""

    dataset: Name = Field(description="data set of the labelled queries")
    split: Name = Field("val", description="split of the labelled queries")
    posterior: PosteriorName = Field(description="posterior of the labelled queries, and of the new ones")


class Items(Model):
    """Queries, or the items of a gallery: exactly one of `dataset`, `folder`, `table`, `embeddings`."""

    dataset: Name | None = Field(None, description="images or captions of a data set, by the direction")
    split: Name | None = Field(
        None, description="split of `dataset`; default: its only one, otherwise that of the confidence model"
    )
    folder: str | None = Field(None, description="images: a folder inside the mirror, or an absolute path")
    table: str | None = Field(
        None,
        description="texts: CSV or parquet with the column text and optionally id, or .txt with one per line, inside "
        "the mirror or an absolute path",
    )
    embeddings: str | None = Field(
        None, description=".npy, .npz, .h5, or a folder of .npy parts, inside the mirror or an absolute path"
    )
    shards: Count = Field(1, description="files that embeddings of a folder or a table are written to, one job each")
    on_error: OnError = Field("fail", description="on an unreadable image of a folder: stop, or leave the image out")

    @model_validator(mode="after")
    def _check_one_source(self) -> "Items":
        given = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(_SOURCES)}; given: {', '.join(given) or '-'}")
        for key, sources in _KEYS_OF_SOURCES.items():
            if key in self.model_fields_set and given[0] not in sources:
                raise ValueError(f"`{key}` belongs to {' or '.join(f'`{name}`' for name in sources)}; remove it")
        return self

    @property
    def modality(self) -> Modality | None:
        """What the items are; None where that depends on the direction."""
        if self.folder is not None:
            return "image"
        return "text" if self.table is not None else None

    @property
    def location(self) -> str | None:
        """The path of the file or folder; None for the items of a data set."""
        return next(filter(None, (self.folder, self.table, self.embeddings)), None)


class AnswerSpec(Model):
    """One set of new queries, `results/answers/NAME.{parquet,csv}`: the top-1 of each, and whether to act on it."""

    model: ModelSource = Field(description="confidence model that judges the answers")
    gallery: Items = Field(description="items that are searched")
    queries: Items = Field(description="what is searched for")
    precision: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.9, description="guaranteed precision of the answers that are acted on: one of operating.precisions"
    )
    direction: Direction | None = Field(
        None, description="needed only if neither the queries nor the gallery are a folder or a table"
    )
