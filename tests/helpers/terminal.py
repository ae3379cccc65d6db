"""A command in a pseudo-terminal of 80 columns, and what its user sees at each moment."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

COLUMNS, LINES = 80, 24

CTRL_C = b"\x03"

_SECONDS = 500.0
"""Time after which a command that does not end is killed."""

_PIECE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|[^\x1b]")


class Screens(NamedTuple):
    """The exit status, all different screens, and the last one."""

    status: int
    screens: list[str]

    @property
    def last(self) -> str:
        """The screen after the end of the command."""
        return self.screens[-1]


class Terminal:
    """Interprets what programs write to a terminal, as far as `rich` uses it."""

    def __init__(self) -> None:
        self._rows: list[list[str]] = [[]]
        self._row = self._column = 0

    def write(self, text: str) -> None:
        """Take the output of a program."""
        for piece in _PIECE.finditer(text):
            if piece[2]:
                self._control(piece[1], piece[2])
            else:
                self._put(piece[0])

    def _put(self, character: str) -> None:
        if character == "\r":
            self._column = 0
            return
        if character == "\n" or self._column == COLUMNS:
            self._row, self._column = self._row + 1, 0
        self._rows += [[] for _ in range(self._row + 1 - len(self._rows))]
        if character != "\n":
            row = self._rows[self._row]
            row += " " * (self._column + 1 - len(row))
            row[self._column] = character
            self._column += 1

    def _control(self, parameter: str, name: str) -> None:
        if name == "A":
            self._row = max(0, self._row - int(parameter or 1))
        elif name == "K":
            assert parameter == "2"
            self._rows[self._row] = []
        else:
            assert name in "mhl", f"unknown control sequence {parameter}{name}"

    def show(self) -> str:
        """What the user sees."""
        return "\n".join("".join(row).rstrip() for row in self._rows).rstrip()


def run_in_terminal(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    type_keys: Callable[[str], bytes] = lambda screen: b"",
) -> Screens:
    """Run a command in a terminal until it ends.

    Args:
        command: program and arguments.
        folder: where.
        environment: its variables.
        type_keys: what to type next, given the screen.
    """
    process, descriptor = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe(command[0], list(command), {**environment, "TERM": "xterm-256color"})
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    terminal, screens, deadline = Terminal(), [""], time.monotonic() + _SECONDS
    while (output := _read(descriptor)) is not None:
        terminal.write(output)
        if (screen := terminal.show()) != screens[-1]:
            screens.append(screen)
            os.write(descriptor, type_keys(screen))
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
    os.close(descriptor)
    return Screens(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), screens)


def _read(descriptor: int) -> str | None:
    """The next output, "" if there is none for a while, None at the end."""
    if not select.select([descriptor], [], [], 1)[0]:
        return ""
    try:
        return os.read(descriptor, 1 << 16).decode(errors="replace") or None
    except OSError:  # how Linux reports the end of a terminal
        return None
