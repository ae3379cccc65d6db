"""Write embeddings that were made elsewhere as shards, which all rules after `embed` can read.

Reads: the record of the raw files of the split and these files, in any format of `overtop.datasets.embeddings`.
Writes: one shard per modality.
"""

from pathlib import Path

from overtop.datasets.embeddings import load_part
from overtop.datasets.imported import write_imported_shards
from overtop.datasets.raw import name_original, raw_folder
from overtop.errors import OvertopError
from overtop.pipeline.job import Job, run
from overtop.pipeline.raw_files import ensure_files
from overtop.terms import MODALITIES


def main(job: Job) -> None:
    """Import one split."""
    ensure_files(job, job.input.source)
    raw = raw_folder(Path(job.params.data), job.wildcards.dataset, job.wildcards.split)
    try:
        write_imported_shards(
            load_part(raw),
            {modality: job.output[modality] for modality in MODALITIES},
            dataset=job.wildcards.dataset,
            split=job.wildcards.split,
            on_error=job.params.on_error,
        )
    except OvertopError as error:
        raise OvertopError(name_original(str(error), raw)) from error


if __name__ == "__main__":
    run(main)
