"""Run readers over damaged inputs in a process of bounded memory, and count what becomes of each.

    python -m helpers.reader_guard GROUP SEED CASES [READER...]

prints one JSON object: for each reader the numbers of cases by outcome, up to three examples of bad ones, and the
growth of resident memory. Outcomes: `named` (an `OvertopError` of one line), `accepted`, `silent` (accepted with other
content than the original, by a format with checksums), `traceback`, `memory`, `hang`, `escape` (a write outside the
folder, a program started, or a class named by a pickle).
"""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from helpers.mutations import mutate
from helpers.reader_inputs import Reader, make_readers
from overtop.errors import OvertopError

SECONDS = 20
"""A case that takes longer hangs."""

ADDRESS_SPACE = 12 * 2**30
"""Most that the process may map: libraries map some gigabytes that they never use."""

GROWTH = 1536 * 2**20
"""Most bytes by which the resident memory may grow: the bound of a text, and as much again for its copy."""

GROUPS = ("files", "images", "weights", "bombs")


class Hang(BaseException):
    """Raised by the alarm; no reader catches it."""


class Watch:
    """What a case does that no reader may do, noticed by an audit hook, which cannot be removed."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.escapes: list[str] = []
        sys.addaudithook(self._hook)

    @contextlib.contextmanager
    def over(self, folder: Path) -> Iterator[None]:
        """Allow writing in one folder only."""
        self.folder, self.escapes = str(folder.resolve()), []
        try:
            yield
        finally:
            self.folder = None

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if event in (
            "subprocess.Popen",
            "os.system",
            "os.exec",
            "os.posix_spawn",
            "pickle.find_class",
            "socket.connect",
        ):
            self.escapes.append(f"{event} {args[0]!r}")
        paths = args[:2] if event in ("os.rename", "os.link", "os.symlink") else args[:1]
        if event == "open":
            paths = paths if _writes(args) else ()
        elif event not in ("os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"):
            return
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike):
                text = os.path.abspath(os.fsdecode(path))
                if not text.startswith((self.folder, "/dev/null")):
                    self.escapes.append(f"{event} {text}")


def _writes(args: tuple[Any, ...]) -> bool:
    mode, flags = args[1], args[2]
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) if isinstance(flags, int) else "r" not in str(mode)


def run_case(reader: Reader, files: dict[str, bytes], folder: Path, watch: Watch) -> tuple[str, Any]:
    """Return what becomes of one input, and the result or what went wrong."""
    source, out = folder / "in", folder / "out"
    for part in (source, out):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
    for name, content in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    signal.alarm(SECONDS)
    try:
        with watch.over(folder):
            outcome = _outcome(reader, source, out)
    except Hang:
        outcome = "hang", "".join(traceback.format_stack(limit=3))
    finally:
        signal.alarm(0)
    return ("escape", watch.escapes[:3]) if watch.escapes else outcome


def _outcome(reader: Reader, source: Path, out: Path) -> tuple[str, Any]:
    try:
        return "accepted", reader.read(source, out)
    except OvertopError as error:
        if isinstance(error.__cause__, MemoryError):
            return "memory", str(error)
        return ("traceback", f"several lines: {error}") if "\n" in str(error) else ("named", str(error))
    except MemoryError:
        return "memory", traceback.format_exc(limit=-2)
    except Exception:
        return "traceback", traceback.format_exc(limit=-3)


def run_reader(reader: Reader, seed: int, cases: int, folder: Path, watch: Watch) -> dict[str, Any]:
    """Return the outcomes of damaged copies of a reader's input."""
    rng = random.Random(seed)
    outcome, original = run_case(reader, dict(reader.files), folder, watch)
    assert outcome == "accepted", f"the valid input is {outcome}: {original}"
    counts: Counter[str] = Counter()
    examples: list[str] = []
    for number in range(cases):
        files = dict(reader.files)
        name = rng.choice(reader.damaged or tuple(files))
        files[name] = mutate(files[name], rng)
        outcome, value = run_case(reader, files, folder, watch)
        if outcome == "accepted" and reader.verified and value != original:
            outcome = "silent"
        counts[outcome] += 1
        if outcome not in ("named", "accepted") and len(examples) < 3:
            examples.append(f"case {number}, {name}: {outcome}: {str(value)[-1500:]}")
    return {**counts, "examples": examples}


def main(group: str, seed: str, cases: str, *names: str) -> None:
    """Run the readers of a group."""
    signal.signal(signal.SIGALRM, _raise_hang)
    watch = Watch()
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as folder:
        readers = make_group(group, Path(scratch))
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
        results = {}
        for name, reader in readers.items():
            if names and name not in names:
                continue
            before = _reset_peak()
            if group == "bombs":
                outcome, value = run_case(reader, dict(reader.files), Path(folder), watch)
                results[name] = {outcome: 1, "examples": [str(value)[-1500:]]}
            else:
                results[name] = run_reader(reader, int(seed), int(cases), Path(folder), watch)
            results[name]["growth"] = _memory("VmHWM") - before
    print(json.dumps(results))


def make_group(group: str, scratch: Path) -> dict[str, Reader]:
    """Return the readers of a group; only two of the groups import torch."""
    if group == "files":
        return make_readers(scratch)
    if group == "bombs":
        return import_module("helpers.bombs").make_bombs(scratch)
    module = import_module("helpers.encoder_reader_inputs")
    return module.image_readers() if group == "images" else module.weight_readers(scratch)


def _reset_peak() -> int:
    """Start to measure the peak of the resident memory; return what is resident, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])


def _raise_hang(*_: object) -> None:
    raise Hang


if __name__ == "__main__":
    main(*sys.argv[1:])
