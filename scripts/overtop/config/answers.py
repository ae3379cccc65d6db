"""`answers` in config.yaml: new queries that are answered with a confidence model."""

from typing import Annotated

from pydantic import Field, model_validator

from overtop.config.base import Model, Name, PosteriorName
from overtop.terms import Direction


class ModelSource(Model):
    """A confidence model: the posterior, and the labelled split that it is fitted on."""

    dataset: Name
    split: Name = "val"
    posterior: PosteriorName


class Items(Model):
    """Queries, or the items of a gallery: exactly one of `dataset`, `folder`, `table`, `embeddings`."""

    dataset: Name | None = Field(None, description="images or captions of a data set, by the direction")
    split: Name | None = Field(None, description="split of `dataset`; default: that of the confidence model")
    folder: str | None = Field(None, description="images: a folder inside the mirror, or an absolute path")
    table: str | None = Field(
        None, description="texts: CSV or parquet with the column text and optionally id, in the mirror or absolute"
    )
    embeddings: str | None = Field(
        None, description=".npy, .npz, .h5, or a folder of .npy parts, inside the mirror or an absolute path"
    )

    @model_validator(mode="after")
    def _check_one_source(self) -> "Items":
        given = [name for name in ("dataset", "folder", "table", "embeddings") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of dataset, folder, table, embeddings; given: {', '.join(given) or '-'}"
            )
        if self.split is not None and self.dataset is None:
            raise ValueError("`split` belongs to `dataset`; remove it")
        return self


class AnswerSpec(Model):
    """One set of new queries, `results/answers/NAME.{parquet,csv}`: the top-1 of each, and whether to act on it."""

    model: ModelSource
    gallery: Items
    queries: Items
    precision: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.9, description="guaranteed precision of the answers that are acted on: one of operating.precisions"
    )
    direction: Direction | None = Field(None, description="needed only if both queries and gallery are embeddings")
