"""Write one split of a data set: who is in it, and which caption belongs to which image.

Reads: data/raw/{dataset}/{split}. Writes: data/splits/{dataset}/{split}.parquet.
"""

from pathlib import Path

from pydantic import TypeAdapter

from overtop.config.datasets import DatasetSpec
from overtop.datasets.registry import read_checked
from overtop.pipeline.job import Job, run
from overtop.storage.split import write_split


def main(job: Job) -> None:
    """Read, prove and write one split."""
    spec = TypeAdapter(DatasetSpec).validate_python(job.params.spec)
    raw = Path(job.input[0]).parent
    split = read_checked(job.wildcards.dataset, spec, raw, raw.parents[2], job.wildcards.split)
    write_split(job.output[0], split)


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
