"""What every rule script does around its work: find its job, log to a file, and report bad input in one line."""

import logging
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from overtop.errors import OvertopError, UnavailableError
from overtop.progress import progress_reported_to

REFUSED = "overtop.refused"
"""Logger of the last line of a job that ended with an `OvertopError`, which another attempt would repeat."""

UNAVAILABLE = "overtop.unavailable"
"""Logger of the last line of a job that ended with an `UnavailableError`."""


class Job(Protocol):
    """The attributes of Snakemake's `snakemake` object that scripts use."""

    input: Any
    output: Any
    params: Any
    wildcards: Any
    log: Any
    config: dict[str, Any]
    threads: int


def run(main: Callable[[Job], None]) -> None:
    """Run a rule script's `main` with its job, and log to the rule's log file.

    The job is the object `snakemake` that Snakemake defines in the script. When the script is started by hand, for
    debugging, the job is built from the file that is named on the command line:

        python scripts/rank.py results/rankings/shapes/test/shapes.h5

    An `OvertopError` is printed as one line and ends the process with status 1; any other exception is a bug and keeps
    its traceback, which is also logged. The screen of the run reads warnings and errors from the log, and the progress
    beside it.
    """
    job = main.__globals__.get("snakemake")
    reported: AbstractContextManager[None] = nullcontext()
    if job is None:
        # Only when a script is started by hand, so that jobs do not import Snakemake.
        from overtop.pipeline.debug import job_from_command_line

        job = job_from_command_line(Path(main.__code__.co_filename).name)
    else:
        reported = progress_reported_to(job.log[0])
    _start_log(Path(job.log[0]))
    try:
        with reported:
            main(job)
    except OvertopError as error:
        logging.getLogger(UNAVAILABLE if isinstance(error, UnavailableError) else REFUSED).error("%s", error)
        print(f"overtop: {error}", file=sys.stderr)
        sys.exit(1)
    except BaseException:
        logging.exception("unexpected exception, or the job was stopped")
        raise


def _start_log(path: Path) -> None:
    """Log to a file, warnings of Python included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=path, filemode="w", level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.captureWarnings(True)
