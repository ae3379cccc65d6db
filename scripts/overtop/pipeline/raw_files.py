"""The raw files that a job reads, verified first."""

from collections.abc import Iterable
from pathlib import Path

from overtop.datasets.restore import ensure_raw
from overtop.pipeline.job import Job


def ensure_files(job: Job, record: str | Path, files: Iterable[str] | None = None) -> None:
    """Verify raw files that a job is about to read, and fetch them again where needed; see `ensure_raw`.

    Args:
        job: the job, which has the data folder as a parameter.
        record: the record of the split, one of the job's inputs.
        files: the files that are needed, relative to the data folder, as in a manifest; by default all of the split.

    Raises:
        OvertopError: as `ensure_raw`.
    """
    # The mirror is read from the config and is not a parameter: moving it must not rerun anything.
    ensure_raw(record, Path(job.params.data), job.config.get("mirror"), files)
