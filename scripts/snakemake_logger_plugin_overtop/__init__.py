"""Snakemake's logger plugin `overtop`, which workflow/profiles/default selects: the screen of a run.

With --verbose or --debug-dag it shows Snakemake's own text instead, and the results at the end.
"""

import os
import sys
from logging import FileHandler, LogRecord

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
        """Choose what to show, by the options of the command line."""
        # Snakemake imports the logger plugins in each of its processes, also in those of jobs on a cluster.
        # The screen is that of the checkout whose workflow runs, this module that of the environment.
        from overtop.screen.opening import open_screen

        settings = self.common_settings
        self._text = self._text_handler() if settings.verbose or settings.debug_dag else None
        self.screen = open_screen(settings, log_path, self._text is not None)

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
            if self._text is not None:
                self._text.handle(record)
            self.screen.handle(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Show the last words; Snakemake calls this more than once."""
        try:
            self.screen.close()
        except Exception as error:
            print(f"overtop: the screen failed: {error!r}; results and logs are complete", file=sys.stderr)
        super().close()


def log_path() -> str:
    """Snakemake's log of this run, "" without one."""
    files = (handler.baseFilename for handler in logger.handlers if isinstance(handler, FileHandler))
    return next(map(os.path.relpath, files), "")
