"""Embed one slice of one modality with one encoder.

Reads: the split, the image files, and the encoder's checkpoint if it was trained here.
Writes: results/embeddings/{dataset}/{split}/{encoder}/{sampling}/{modality}-{shard}of{shards}.h5.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from overtop.config.encoders import EncoderSpec
from overtop.device import default_device
from overtop.encoders.embedding import Compute, EmbeddingBatch, embed_images, embed_texts
from overtop.encoders.loading import Encoder, load_encoder
from overtop.encoders.sampling import Sampling
from overtop.pipeline.job import Job, run
from overtop.seeds import derive_seed
from overtop.storage.shards import shard_slice, write_shard
from overtop.storage.split import Split, read_split


def main(job: Job) -> None:
    """Embed and write one shard."""
    words, params = job.wildcards, job.params
    spec = EncoderSpec.model_validate(params.encoder)
    encoder = load_encoder(words.encoder, spec, job.input.get("checkpoint"), default_device())
    split = read_split(job.input.split)
    batch, ids = embed_slice(encoder, split, job)
    dtype = params.many_samples_dtype if batch.embedding.shape[0] > 1 else "float32"
    write_shard(
        job.output[0],
        batch.embedding.astype(np.dtype(dtype), copy=False),
        ids,
        batch.valid,
        {
            "dataset": words.dataset,
            "split": words.split,
            "encoder": {"name": words.encoder, **encoder.provenance},
            "sampling": words.sampling,
            "dropped": batch.dropped,
            "modality": words.modality,
            "shard": int(words.shard),
            "shards": int(words.shards),
            "seed": params.seed,
            "batch_size": params.batch_size,
            "precision": params.precision,
            "compiled": params.compile,
            "dtype": dtype,
            "truncated_captions": batch.n_truncated,
        },
    )


def embed_slice(encoder: Encoder, split: Split, job: Job) -> tuple[EmbeddingBatch, list[str]]:
    """The embeddings of the job's slice, and the names of its items."""
    words, params = job.wildcards, job.params
    ids = split.image_ids if words.modality == "image" else split.caption_ids
    part = shard_slice(len(ids), int(words.shard), int(words.shards))
    sampling = Sampling.parse(words.sampling)
    # Everything that tells this stream of masks from another, so that a shard rebuilt alone has the same bytes. The
    # number of passes is none of it: the first of a hundred are those of a run of fifty.
    seed = derive_seed(params.seed, words.encoder, sampling.rate, words.modality, words.shard, words.shards)
    compute = Compute(params.precision, params.compile)
    with tqdm(total=len(ids[part]), desc=f"embed {words.encoder}", unit=words.modality, disable=None) as bar:
        if words.modality == "image":
            data = Path(job.input.split).parents[2]
            paths = [data / path for path in split.image_paths[part]]
            batch = embed_images(
                encoder, paths, sampling, seed, params.batch_size, params.on_error, bar.update, compute
            )
        else:
            batch = embed_texts(encoder, split.captions[part], sampling, seed, params.batch_size, bar.update, compute)
    return batch, ids[part]


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
