"""Embed one slice of one modality with one encoder.

Reads: the split, its image files, and the weights of the encoder (trained here, or the record of downloaded ones).
Computes: all samples of the embeddings of the slice's items.
Writes: results/embeddings/{dataset}/{split}/{encoder}/{sampling}/{modality}-{shard}of{shards}.h5.
"""

from typing import Any

import numpy as np

from overtop.config.encoders import EncoderSpec
from overtop.device import default_device
from overtop.encoders.embedding import EmbeddingBatch, ShardKey, embed_shard
from overtop.encoders.loading import Encoder, load_encoder
from overtop.encoders.passes import ComputeOptions
from overtop.encoders.sampling import Sampling
from overtop.pipeline.job import Job, run
from overtop.pipeline.raw_files import ensure_files
from overtop.progress import progress_bar
from overtop.storage.shards import shard_slice, write_shard
from overtop.storage.split import read_split


def main(job: Job) -> None:
    """Embed and write one shard."""
    wildcards, params = job.wildcards, job.params
    split = read_split(job.input.split)
    if wildcards.modality == "image":
        rows = shard_slice(len(split.image_ids), int(wildcards.shard), int(wildcards.shards))
        ensure_files(job, job.input.source, split.image_paths[rows])
    encoder = load_encoder(
        wildcards.encoder,
        EncoderSpec.model_validate(params.encoder),
        job.input.get("checkpoint"),
        default_device(),
        data=params.data,
    )
    with progress_bar(f"embed {encoder.name}", wildcards.modality) as progress:
        batch, item_ids = embed_shard(
            encoder,
            split,
            ShardKey(wildcards.modality, int(wildcards.shard), int(wildcards.shards)),
            Sampling.parse(wildcards.sampling),
            params.seed,
            params.batch_size,
            data=params.data,
            on_error=params.on_error,
            options=ComputeOptions(params.precision, params.compile),
            progress=progress,
        )
    dtype = params.many_samples_dtype if len(batch.embedding) > 1 else "float32"
    embedding = batch.embedding.astype(np.dtype(dtype), copy=False)
    write_shard(job.output[0], embedding, item_ids, batch.valid, _make_provenance(job, encoder, batch, dtype))


def _make_provenance(job: Job, encoder: Encoder, batch: EmbeddingBatch, dtype: str) -> dict[str, Any]:
    wildcards, params = job.wildcards, job.params
    return {
        "dataset": wildcards.dataset,
        "split": wildcards.split,
        "encoder": encoder.identity,
        "sampling": wildcards.sampling,
        "dropped": batch.dropout,
        "modality": wildcards.modality,
        "shard": int(wildcards.shard),
        "shards": int(wildcards.shards),
        "seed": params.seed,
        "batch_size": params.batch_size,
        "precision": params.precision,
        "compiled": params.compile,
        "dtype": dtype,
        "truncated_captions": batch.n_truncated,
    }


if __name__ == "__main__":
    run(main)
