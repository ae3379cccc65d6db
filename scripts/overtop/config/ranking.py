"""`ranking` in config.yaml: how many items are ranked per query, and how they are searched."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from overtop.config.base import Model, Name


class RankingSpec(Model):
    """How many items are ranked per query, and how they are searched."""

    top: Annotated[int, Field(ge=10)] = Field(
        50,
        description="items stored per query; with a search index, softmax sums are over these and 16 more",
    )
    search: Literal["stream", "flat", "hnsw"] = Field(
        "stream",
        description="`stream`: the exact pass; `flat`, `hnsw`: a FAISS index, with softmax sums over the items found",
    )
    slices: dict[Name, Annotated[int, Field(ge=2)]] = Field(
        {}, description="by data set: the number of jobs that its gallery is ranked in, for galleries beyond one node"
    )

    @model_validator(mode="after")
    def _check_slices(self) -> Self:
        if self.slices and self.search != "stream":
            raise ValueError(f"slices: only the exact pass ranks in slices, not {self.search}; set search to stream")
        return self
