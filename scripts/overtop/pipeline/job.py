"""What every rule script does around its work: a log, and one clear line when the input is wrong."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from overtop.errors import OvertopError


class Job(Protocol):
    """The part of Snakemake's `snakemake` object that scripts use."""

    input: Any
    output: Any
    params: Any
    wildcards: Any
    log: Any
    config: dict[str, Any]
    threads: int


def run(main: Callable[[Job], None], job: Job) -> None:
    """Run a rule's `main`, logging to the rule's log file.

    A mistake of the user's is printed as one line and ends the process with status 1; a bug keeps its traceback,
    which is also in the log.
    """
    log = Path(job.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=log, filemode="w", level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.captureWarnings(True)
    try:
        main(job)
    except OvertopError as error:
        logging.error("%s", error)
        print(f"overtop: {error}", file=sys.stderr)
        sys.exit(1)
    except BaseException:
        logging.exception("this is a bug, or the job was stopped")
        raise
