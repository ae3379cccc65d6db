"""Bring a data set's files into data/raw, and record the size and sha256 of each.

Reads: the mirror (`mirror` in config.yaml), or nothing for data sets that are drawn.
Writes: data/raw/{dataset}/source.json, beside the files it lists.
"""

from pathlib import Path

from pydantic import TypeAdapter

from overtop.config import DatasetSpec
from overtop.datasets import module_of
from overtop.datasets.sources import record
from overtop.job import Job, run


def main(job: Job) -> None:
    """Fetch one data set."""
    spec = TypeAdapter(DatasetSpec).validate_python(job.params.spec)
    raw = Path(job.output[0]).parent
    # `mirror` says where things are, not what they are: it is no param, so that moving it reruns nothing.
    module_of(spec).fetch(job.wildcards.dataset, spec, raw, job.config.get("mirror"), job.params.seed)
    record(raw)


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
