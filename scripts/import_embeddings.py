"""Write embeddings that were made elsewhere as shards, which all rules after `embed` can read.

Reads: the record of the raw files of the split and these files, in any format of `overtop.datasets.embeddings`.
Writes: one shard per modality.
"""

from pathlib import Path

from overtop.datasets.embeddings import load_part, write_imported_shards
from overtop.datasets.raw import raw_folder
from overtop.pipeline.job import Job, run
from overtop.pipeline.raw_files import ensure_files
from overtop.terms import MODALITIES


def main(job: Job) -> None:
    """Import one split."""
    ensure_files(job, job.input.source)
    raw = raw_folder(Path(job.params.data), job.wildcards.dataset, job.wildcards.split)
    write_imported_shards(
        load_part(raw),
        {modality: job.output[modality] for modality in MODALITIES},
        dataset=job.wildcards.dataset,
        split=job.wildcards.split,
        on_error=job.params.on_error,
    )


if __name__ == "__main__":
    run(main)
