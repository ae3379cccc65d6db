"""`ranking` in config.yaml: how many items are ranked per query, and how they are searched."""

from typing import Annotated, Literal

from pydantic import Field

from overtop.config.base import Model


class RankingSpec(Model):
    """How many items are ranked per query, and how they are searched."""

    top: Annotated[int, Field(ge=10)] = Field(50, description="items (ids and scores) stored per query")
    search: Literal["stream", "flat", "hnsw"] = Field(
        "stream", description="stream: the exact pass; flat, hnsw: a FAISS index, for very large galleries"
    )
