"""Fetch the files of a split into data/raw, and record the size and sha256 of each.

Reads: the mirror (`mirror` in config.yaml), or the `sources` of routes; nothing for data sets that are generated.
Writes: data/raw/{dataset}/{split}/source.json, and in the same folder the files it lists; downloads in data/downloads.
"""

from pathlib import Path

from pydantic import TypeAdapter

from overtop.config.datasets import StoredDatasetSpec
from overtop.config.sources import SourceSpec
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import fetch_split
from overtop.pipeline.job import Job, run


def main(job: Job) -> None:
    """Fetch one split."""
    spec = TypeAdapter(StoredDatasetSpec).validate_python(job.params.spec)
    sources = TypeAdapter(dict[str, SourceSpec]).validate_python(job.params.sources)
    # The mirror is read from the config and not a param: moving it must not rerun anything.
    context = FetchContext(job.config.get("mirror"), job.params.seed, Path(job.params.data), sources)
    fetch_split(job.wildcards.dataset, spec, job.wildcards.split, Path(job.output[0]).parent, context)


if __name__ == "__main__":
    run(main)
