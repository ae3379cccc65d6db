"""Bring the files of a split into data/raw, and record the size and sha256 of each.

Reads: the mirror (`mirror` in config.yaml), the `sources` that routes name, or nothing for data sets that are drawn.
Writes: data/raw/{dataset}/{split}/source.json, beside the files it lists; downloads under data/downloads.
"""

from pathlib import Path

from pydantic import TypeAdapter

from overtop.config.datasets import DatasetSpec
from overtop.config.sources import SourceSpec
from overtop.datasets.raw import Context, record
from overtop.datasets.registry import module_of
from overtop.pipeline.job import Job, run


def main(job: Job) -> None:
    """Fetch one split."""
    spec = TypeAdapter(DatasetSpec).validate_python(job.params.spec)
    sources = TypeAdapter(dict[str, SourceSpec]).validate_python(job.params.sources)
    raw = Path(job.output[0]).parent
    # `mirror` says where things are, not what they are: it is no param, so that moving it reruns nothing.
    context = Context(job.config.get("mirror"), job.params.seed, raw.parents[2], sources)
    module_of(spec).fetch(job.wildcards.dataset, spec, job.wildcards.split, raw, context)
    record(raw)


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
