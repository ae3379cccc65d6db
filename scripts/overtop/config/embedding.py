"""`embedding` in config.yaml: how shards are computed and stored."""

from typing import Literal

from pydantic import Field

from overtop.config.base import Count, Model


class BatchSizes(Model):
    """Items per forward pass. Part of the result, because the masks of MC dropout are drawn per batch."""

    image: Count = Field(64, description="images per forward pass")
    text: Count = Field(256, description="captions per forward pass")


class EmbeddingSpec(Model):
    """How shards are computed and stored."""

    batch_size: BatchSizes = Field(
        BatchSizes(), description="items per forward pass; part of the result under MC dropout"
    )
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = Field(
        "fp32",
        description="precision of the forward pass: full, with products in TF32 on a GPU, or automatic mixed precision",
    )
    compile: bool = Field(False, description="use torch.compile on a GPU: minutes to start, then faster")
    passes_per_shard: Count = Field(50, description="most passes of MC dropout in one shard")
    many_samples_dtype: Literal["float32", "float16"] = Field(
        "float32", description="storage type of posteriors with several samples; a single sample is always float32"
    )
