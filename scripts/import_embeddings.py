"""Turn embeddings that others made into shards, so that everything after `embed` can use them.

Reads: data/raw/{dataset}/{split}, in any of the forms of `overtop.datasets.embeddings`.
Writes: one shard per modality.
"""

from pathlib import Path

import numpy as np

from overtop.datasets.embeddings import load
from overtop.pipeline.job import Job, run
from overtop.storage.shards import write_shard
from overtop.terms import IMPORTED


def main(job: Job) -> None:
    """Import one split."""
    imported = load(Path(job.input.source).parent)
    for modality, embedding, ids in (
        ("image", imported.image, imported.split.image_ids),
        ("text", imported.text, imported.split.caption_ids),
    ):
        finite = np.isfinite(embedding).all(axis=(0, 2))
        write_shard(
            job.output[modality],
            embedding.astype(np.float32, copy=False),
            ids,
            valid=finite if job.params.on_error == "skip" else np.ones_like(finite),
            provenance={
                "dataset": job.wildcards.dataset,
                "split": job.wildcards.split,
                "encoder": {"name": IMPORTED},
                "sampling": "samples",
                "modality": modality,
                "shard": 0,
                "shards": 1,
            },
        )


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
