"""`ranking` in config.yaml: what is kept of every ranking, and how its items are found."""

from typing import Annotated, Literal

from pydantic import Field

from overtop.config.base import Model


class RankingSpec(Model):
    """What is kept of every ranking, and how its items are found."""

    top: Annotated[int, Field(ge=10)] = Field(50, description="ids and scores kept per query")
    search: Literal["stream", "flat", "hnsw"] = Field(
        "stream", description="stream: the exact pass; flat, hnsw: FAISS, for galleries too large for it"
    )
