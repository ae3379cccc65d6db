"""Where the screen is written: the terminal itself, while the output of jobs goes to Snakemake's log."""

import os
import sys
import textwrap
from collections.abc import Callable
from typing import TextIO

from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.text import Text

REFRESHES_PER_SECOND = 2

STANDARD_STREAMS = (1, 2)


class Output:
    """A terminal or a file that lines are printed to, with a live display in its last lines if it is a terminal."""

    def __init__(self, descriptor: int, *, color: bool) -> None:
        """Print to a copy of a file descriptor, which stays what it is when the standard streams are redirected."""
        self._stream: TextIO = os.fdopen(os.dup(descriptor), "w", buffering=1, errors="replace")
        self._console = Console(
            file=self._stream,
            # Otherwise variables such as FORCE_COLOR, which services of CI set, make a terminal of every file.
            force_terminal=self._stream.isatty(),
            no_color=not color,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._live: Live | None = None
        self._saved: dict[int, int] = {}

    @property
    def is_terminal(self) -> bool:
        """Whether there is a live display."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    @property
    def width(self) -> int:
        """Columns that a line should fit into."""
        if not self.is_terminal:
            return 200
        # `rich` looks at the standard streams, which are redirected while jobs run.
        return os.get_terminal_size(self._stream.fileno()).columns or self._console.width

    def print(self, text: str, style: str = "", most_lines: int | None = None) -> None:
        """Print a line; on a terminal, a long one is continued below its first words, and no word is broken.

        Args:
            text: the line.
            style: colour or weight.
            most_lines: of the terminal; the rest is cut.
        """
        if self.is_terminal:
            indent = " " * (len(text) - len(text.lstrip()) + 2)
            text = textwrap.fill(
                text,
                self.width,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
                max_lines=most_lines,
                placeholder=" ...",
            )
        self._console.print(Text(text, style=style), soft_wrap=True)

    def show(self, render: Callable[[], RenderableType]) -> None:
        """Show what `render` returns, again and again, until `clear` is called."""
        self.clear()
        if self.is_terminal:
            self._live = Live(
                get_renderable=lambda: Constrain(render(), self.width),
                console=self._console,
                refresh_per_second=REFRESHES_PER_SECOND,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="crop",
            )
            self._live.start(refresh=True)

    def clear(self) -> None:
        """Remove the live display."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def redirect_streams(self, log: str) -> None:
        """Let this process and its jobs write to the end of a log what they print."""
        sys.stdout.flush()
        sys.stderr.flush()
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for descriptor in STANDARD_STREAMS:
            self._saved[descriptor] = os.dup(descriptor)
            os.dup2(target, descriptor)
        os.close(target)

    def restore_streams(self) -> None:
        """Undo `redirect_streams`."""
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, saved in self._saved.items():
            os.dup2(saved, descriptor)
            os.close(saved)
        self._saved = {}
