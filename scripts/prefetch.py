"""List everything that a table needs from elsewhere, once it is here.

Reads: the records of fetched splits and downloaded weights. Writes: data/prefetch/{table}.json.
"""

import json
from pathlib import Path

from overtop.pipeline.job import Job, run
from overtop.storage.files import write_json


def main(job: Job) -> None:
    """Sum up the records: files and bytes."""
    write_json(job.output[0], {str(path): summary(json.loads(Path(path).read_text())) for path in job.input})


def summary(record: dict[str, object]) -> dict[str, int]:
    """Files and bytes of a fetched split (`name: {bytes, sha256}`) or of downloaded weights."""
    files = [entry for entry in record.values() if isinstance(entry, dict)] or [record]
    return {"files": len(files), "bytes": sum(int(file["bytes"]) for file in files)}


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
