"""The screen of a run, by the options of Snakemake's command line."""

import sys
from collections.abc import Callable
from typing import Any

from overtop.screen.closing import show_interruption
from overtop.screen.output import Output
from overtop.screen.screen import Screen, Shows


def open_screen(settings: Any, log: Callable[[], str], has_text: bool) -> Screen:
    """Return the screen of a run.

    The logger plugin is that of the environment, which may belong to another checkout: it calls this function alone.

    Args:
        settings: Snakemake's settings of its output.
        log: returns the path of Snakemake's log, "" if there is none.
        has_text: whether Snakemake's own text is shown.
    """
    is_quiet = bool({"ALL", "PROGRESS"} & {each.name for each in settings.quiet or ()})
    shows: Shows = "results" if has_text else "errors and results" if is_quiet else "everything"
    output = Output(1 if settings.stdout else 2, color=not settings.nocolor)
    # Snakemake handles Ctrl-C only while jobs run.
    sys.excepthook = show_interruption
    return Screen(output, log, is_dry_run=settings.dryrun, shows=shows)
