"""Count the files and bytes of everything that a table downloads; the inputs of the rule do the downloading.

Reads: the records of fetched splits and downloaded weights. Writes: data/prefetch/{table}.json.
"""

import json
from pathlib import Path
from typing import Any

from overtop.pipeline.job import Job, run
from overtop.storage.json_files import write_json


def main(job: Job) -> None:
    """Write the number of files and bytes of each record."""
    write_json(job.output[0], {str(path): count_files(json.loads(Path(path).read_text())) for path in job.input})


def count_files(record: dict[str, Any]) -> dict[str, int]:
    """Number of files and bytes of a fetched split, which `files` lists, or of downloaded weights."""
    files = [*record["files"].values()] if "files" in record else [record]
    return {"files": len(files), "bytes": sum(int(file["bytes"]) for file in files)}


if __name__ == "__main__":
    run(main)
