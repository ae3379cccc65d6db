"""Snakemake's logger plugin `overtop`, which workflow/profiles/default selects: the screen of a run.

With --verbose or --debug-dag it shows Snakemake's own text instead, and the results at the end.
"""

import os
import sys
from logging import FileHandler, LogRecord
from typing import Any

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter, logger
from snakemake_interface_logger_plugins.base import LogHandlerBase


class LogHandler(LogHandlerBase):
    """Passes Snakemake's records to the screen."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Choose what to show, by the options of the command line; Snakemake's text if the screen cannot be opened."""
        settings = self.common_settings
        with_text = settings.verbose or settings.debug_dag
        self._views: list[Any] = [self._text_handler()] if with_text else []
        try:
            # Snakemake imports the logger plugins in each of its processes, also in those of jobs on a cluster.
            # This module is that of the environment, the screen that of the checkout whose workflow runs.
            from overtop.screen.opening import open_screen

            self.screen = open_screen(settings, log_path, with_text)
            self._views.append(self.screen)
        except Exception as error:
            print(
                f"overtop: the screen cannot be opened ({error!r}), so Snakemake's text is shown; to repair it, run "
                f"`{sys.executable} -m pip install -e .` in the folder of the project",
                file=sys.stderr,
            )
            self._views = [self._text_handler()]

    def _text_handler(self) -> ColorizingTextHandler:
        """Snakemake's own handler, which any plugin that writes to a stream replaces."""
        settings = self.common_settings
        return ColorizingTextHandler(
            settings.nocolor,
            sys.stdout if settings.stdout else sys.stderr,
            DefaultFormatter(settings.quiet, settings.show_failed_logs),
            DefaultFilter(
                settings.quiet, settings.debug_dag, settings.verbose, settings.dryrun, settings.printshellcmds
            ),
        )

    def emit(self, record: LogRecord) -> None:
        """Show a record."""
        try:
            for view in self._views:
                view.handle(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Show the last words; Snakemake calls this more than once."""
        try:
            for view in self._views:
                view.close()
        except Exception as error:
            print(f"overtop: the screen failed: {error!r}; results and logs are complete", file=sys.stderr)
        super().close()


def log_path() -> str:
    """Snakemake's log of this run, "" without one."""
    files = (handler.baseFilename for handler in logger.handlers if isinstance(handler, FileHandler))
    return next(map(os.path.relpath, files), "")
