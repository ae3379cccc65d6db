"""Write the manifest of one split: its images, its captions, and which caption belongs to which image.

Reads: data/raw/{dataset}/{split}. Writes: data/splits/{dataset}/{split}.parquet.
"""

from pathlib import Path

from pydantic import TypeAdapter

from overtop.config.datasets import DatasetSpec
from overtop.datasets.registry import read_raw_split
from overtop.pipeline.job import Job, run
from overtop.storage.split import write_split


def main(job: Job) -> None:
    """Read, verify and write one split."""
    spec = TypeAdapter(DatasetSpec).validate_python(job.params.spec)
    raw, data = Path(job.input[0]).parent, Path(job.params.data)
    write_split(job.output[0], read_raw_split(job.wildcards.dataset, spec, raw, data, job.wildcards.split))


if __name__ == "__main__":
    run(main)
