"""Kill every writer at random moments, alone or beside a second one, and look at what is under the final names.

Run as `python kill_writers.py FOLDER KILLS SEED`; prints counts as JSON. It is a program of its own, because it forks:
tests have threads.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from helpers.fault_writers import WRITERS, Writer

Content = bytes | dict[str, bytes]
"""Of a file, or of the files in a folder."""

Snapshot = dict[str, Content]
"""The files and folders of a folder, by name."""


def snapshot(folder: Path) -> Snapshot:
    """Return what a folder contains under final names; hidden files count only if they are digests."""
    return {
        path.name: {file.name: file.read_bytes() for file in path.iterdir()} if path.is_dir() else path.read_bytes()
        for path in folder.iterdir()
        if not path.name.startswith(".") or path.name.endswith(".csv.sha256")
    }


def leftovers(folder: Path) -> list[str]:
    """The names of temporary files and folders."""
    return [path.name for path in folder.iterdir() if ".tmp" in path.name]


def start(writer: Writer, folder: Path, first: int, repeat: bool) -> int:
    """Fork a process that writes both states in turn for ever, or the first one once; return its number."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        state = first
        while True:
            writer.write(folder, state)
            if not repeat:
                break
            state = 1 if writer.grows else 1 - state
        status = 0
    finally:
        os._exit(status)


def write(writer: Writer, folder: Path, state: int) -> bool:
    """Write a state in a process of its own, and return whether it ended well.

    This process itself writes nothing: a lock that is made here, such as that of progress bars, is shared with all
    later processes, and would be held for ever by one that is killed.
    """
    return os.waitpid(start(writer, folder, state, repeat=False), 0)[1] == 0


def stop(process: int) -> None:
    """Kill a process and wait for its end."""
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def judge(found: Snapshot, before: Snapshot, states: list[Snapshot], grows: bool) -> str:
    """Return "whole", "partial" or "missing" for what is under the final names."""
    if set(found) < set(before):
        return "missing"
    if grows:
        return "whole" if all(_begins(found[name], before[name]) for name in before) else "partial"
    whole = all(any(content == state.get(name) for state in states) for name, content in found.items())
    return "whole" if whole else "partial"


def _begins(content: Content, before: Content) -> bool:
    """Whether a table has all rows that it had, and only whole rows."""
    assert isinstance(content, bytes)
    assert isinstance(before, bytes)
    rows = content.decode().splitlines(keepends=True)
    return set(before.decode().splitlines(keepends=True)) <= set(rows) and all(
        row.endswith("\n") and row.count(",") == 3 for row in rows
    )


def kill_one(writer: Writer, folder: Path, kills: int, draw: random.Random) -> Iterator[str]:
    """Kill one writer again and again; yield what was found, and "leftover" where the next write left one."""
    states, seconds = write_states(writer, folder)
    before = snapshot(folder)
    for _ in range(kills):
        process = start(writer, folder, 1, repeat=True)
        time.sleep(draw.uniform(0, 3 * seconds))
        stop(process)
        if leftovers(folder):
            yield "in mid-write"
        found = snapshot(folder)
        yield judge(found, before, states, writer.grows)
        before = found if writer.grows else before
        if not write(writer, folder, int(writer.grows)):  # a table that has its rows is not written again
            yield "next write failed"
        if leftovers(folder):
            yield "leftover"


def kill_two(writer: Writer, folder: Path, pairs: int, draw: random.Random) -> Iterator[str]:
    """Let two processes write one target; kill one of the first in every second pair; yield what was found."""
    states, seconds = write_states(writer, folder)
    before = snapshot(folder)
    for pair in range(pairs):
        first = start(writer, folder, pair % 2, repeat=True)
        time.sleep(draw.uniform(0, seconds))
        second = start(writer, folder, 1 - pair % 2, repeat=False)
        if pair % 4 >= 2:
            time.sleep(draw.uniform(0, seconds))
            stop(first)
        if os.waitpid(second, 0)[1] != 0:
            yield "second failed"
        if pair % 4 < 2:
            if os.waitpid(first, os.WNOHANG) != (0, 0):
                yield "first failed"
            else:
                stop(first)
        yield judge(snapshot(folder), before, states, writer.grows)


def write_states(writer: Writer, folder: Path) -> tuple[list[Snapshot], float]:
    """Write state 0 into the folder; return both states, of another folder, and the seconds that a write takes."""
    states, seconds = [], 0.0
    for state in (0, 1):
        other = folder.with_name(f"{folder.name} state {state}")
        other.mkdir()
        if writer.grows:
            assert write(writer, other, 0)
        began = time.monotonic()
        assert write(writer, other, state)
        seconds = time.monotonic() - began
        states.append(snapshot(other))
    folder.mkdir()
    assert write(writer, folder, 0)
    return states, seconds


def main() -> None:
    """Kill all writers, alone and in pairs, and print what was found."""
    folder, kills, seed = sys.argv[1:]
    draw, found = random.Random(int(seed)), {}
    for name, writer in WRITERS.items():
        for kind, kill in (("one", kill_one), ("two", kill_two)):
            found[f"{kind} {name}"] = Counter(kill(writer, Path(folder, f"{kind} {name}"), int(kills), draw))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
