"""Write the manifest of one split: its images, its captions, and which caption belongs to which image.

Reads: the record of the raw files of the split, and these files; or the manifest of the base of a variant.
Writes: data/splits/{dataset}/{split}.parquet.
"""

from pathlib import Path

from pydantic import TypeAdapter

from overtop.config.datasets import DatasetSpec, VariantDataset
from overtop.datasets.raw import raw_folder
from overtop.datasets.registry import read_raw_split
from overtop.datasets.variants import make_variant
from overtop.pipeline.job import Job, run
from overtop.pipeline.raw_files import ensure_files
from overtop.storage.split import Split, read_split, write_split


def main(job: Job) -> None:
    """Read, verify and write one split."""
    write_split(job.output[0], make_split(job))


def make_split(job: Job) -> Split:
    """Read and verify the files of a split, or draw those of a variant."""
    spec: DatasetSpec = TypeAdapter(DatasetSpec).validate_python(job.params.spec)
    if isinstance(spec, VariantDataset):
        return make_variant(read_split(job.input[0]), spec)
    ensure_files(job, job.input[0])
    data, names = Path(job.params.data), job.wildcards
    raw = raw_folder(data, names.dataset, names.split)
    return read_raw_split(names.dataset, spec, raw, data, names.split)


if __name__ == "__main__":
    run(main)
