"""Fetch the files of a split into data/raw, and record what was fetched, with the size and sha256 of each file.

Reads: the mirror (`mirror` in config.yaml), or the `sources` of routes; nothing for data sets that are generated.
Writes: data/sources/{dataset}/{split}.json, and the files that it lists in data/raw/{dataset}/{split}; downloads in
data/downloads.
"""

from pathlib import Path

from overtop.datasets.source_records import FetchRequest, write_source_record
from overtop.pipeline.job import Job, run


def main(job: Job) -> None:
    """Fetch one split."""
    params, names = job.params, job.wildcards
    request = FetchRequest.model_validate(
        {
            "dataset": names.dataset,
            "split": names.split,
            "spec": params.spec,
            "sources": params.sources,
            "seed": params.seed,
        }
    )
    data = Path(params.data)
    # The mirror is read from the config and not a param: moving it must not rerun anything.
    request.fetch(request.raw_folder(data), data, job.config.get("mirror"))
    write_source_record(job.output[0], request, request.raw_folder(data))


if __name__ == "__main__":
    run(main)
