"""Count the files and bytes of everything that a table downloads; the inputs of the rule do the downloading.

Reads: the records of fetched splits and downloaded weights, and the raw files, which are fetched again where needed.
Writes: data/prefetch/{table}.json.
"""

from pathlib import Path
from typing import Any

from overtop.pipeline.job import Job, run
from overtop.pipeline.raw_files import ensure_files
from overtop.storage.json_files import read_json, write_json


def main(job: Job) -> None:
    """Verify the files of each record, and write their number and bytes."""
    counts = {}
    for path in map(Path, job.input):
        record = read_json(path)
        if "files" in record:
            ensure_files(job, path)
        counts[str(path)] = count_files(record)
    write_json(job.output[0], counts)


def count_files(record: dict[str, Any]) -> dict[str, int]:
    """Number of files and bytes of a fetched split, which `files` lists, or of downloaded weights."""
    files = [*record["files"].values()] if "files" in record else [record]
    return {"files": len(files), "bytes": sum(int(file["bytes"]) for file in files)}


if __name__ == "__main__":
    run(main)
