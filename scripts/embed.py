"""Embed one slice of the images and of the captions of a split with one encoder.

Reads: the split, its image files, and the weights of the encoder (trained here, or the record of downloaded ones).
Computes: all samples of the embeddings of the slice's items; the encoder is loaded once.
Writes: results/embeddings/{dataset}/{split}/{encoder}/{sampling}/image-{shard}of{shards}.h5, and text-... likewise.
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
from overtop.storage.split import Split, read_split
from overtop.terms import MODALITIES, Modality


def main(job: Job) -> None:
    """Embed one slice of a split, and write one shard of each modality."""
    params = job.params
    split = read_split(job.input.split)
    rows = shard_slice(len(split.image_ids), int(job.wildcards.shard), int(job.wildcards.shards))
    ensure_files(job, job.input.source, split.image_paths[rows])
    encoder = load_encoder(
        job.wildcards.encoder,
        EncoderSpec.model_validate(params.encoder),
        job.input.get("checkpoint"),
        default_device(),
        data=params.data,
    )
    for modality in MODALITIES:
        _write_shard(job, split, encoder, modality)


def _write_shard(job: Job, split: Split, encoder: Encoder, modality: Modality) -> None:
    wildcards, params = job.wildcards, job.params
    with progress_bar(f"embed {encoder.name}", modality) as progress:
        batch, item_ids = embed_shard(
            encoder,
            split,
            ShardKey(modality, int(wildcards.shard), int(wildcards.shards)),
            Sampling.parse(wildcards.sampling),
            params.seed,
            params.batch_size[modality],
            data=params.data,
            on_error=params.on_error,
            options=ComputeOptions(params.precision, params.compile, job.threads),
            progress=progress,
        )
    dtype = params.many_samples_dtype if len(batch.embedding) > 1 else "float32"
    embedding = batch.embedding.astype(np.dtype(dtype), copy=False)
    provenance = _make_provenance(job, encoder, modality, batch, dtype)
    write_shard(job.output[modality], embedding, item_ids, batch.valid, provenance)


def _make_provenance(
    job: Job, encoder: Encoder, modality: Modality, batch: EmbeddingBatch, dtype: str
) -> dict[str, Any]:
    wildcards, params = job.wildcards, job.params
    return {
        "dataset": wildcards.dataset,
        "split": wildcards.split,
        "encoder": encoder.identity,
        "sampling": wildcards.sampling,
        "dropped": batch.dropout,
        "modality": modality,
        "shard": int(wildcards.shard),
        "shards": int(wildcards.shards),
        "seed": params.seed,
        "batch_size": params.batch_size[modality],
        "precision": params.precision,
        "compiled": params.compile,
        "dtype": dtype,
        "truncated_captions": batch.n_truncated,
    }


if __name__ == "__main__":
    run(main)
