"""Let every writer of the library write where no space is left, and look at what it says and leaves.

Run as `python full_disk.py FOLDER limit|disk`, the folder on a small disk of its own for `disk`; prints counts as JSON.
It is a program of its own, because some libraries crash when a process ends that could not write.
"""

import json
import resource
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

from helpers.fault_writers import WRITERS
from helpers.kill_writers import leftovers, snapshot
from overtop.errors import OvertopError


def fill(folder: Path) -> None:
    """Use all space of a disk."""
    with open(folder / "filler", "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def judge(name: str, folder: Path) -> str:
    """Return what became of a write of another state without space."""
    before = snapshot(folder)
    try:
        WRITERS[name].write(folder, 1)
    except OvertopError as error:
        if "no space left" not in str(error) or "\n" in str(error):
            return f"error without its cause: {error}"
    except Exception as error:
        return f"traceback: {error!r}"
    else:
        return "written nonetheless"
    if leftovers(folder):
        return f"leftovers: {leftovers(folder)}"
    return "named" if snapshot(folder) == before else "lost"


def main() -> None:
    """Judge all writers."""
    root, kind = Path(sys.argv[1]), sys.argv[2]
    for name, writer in WRITERS.items():
        (root / name).mkdir()
        if name == "copies of raw files":
            writer.write(root / name, 1)  # makes the originals
        writer.write(root / name, 0)
    if kind == "disk":
        fill(root)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    print(json.dumps(Counter(f"{name}: {judge(name, root / name)}" for name in WRITERS)))


if __name__ == "__main__":
    main()
