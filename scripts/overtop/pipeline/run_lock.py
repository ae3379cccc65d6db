"""One run at a time in a folder, and the lock that a killed run leaves there.

Snakemake's own lock is a file that does not say whose it is, and that stays when its run is killed. Every run therefore
also holds a lock of the operating system, which ends with its process, on whatever machine that was.
"""

import fcntl
import os
import sys
from pathlib import Path

from overtop.errors import OvertopError

_LOCK = Path(".snakemake", "run.lock")
_SNAKEMAKE_LOCKS = Path(".snakemake", "locks")

_held: dict[Path, int] = {}
"""Descriptors of the locks that this process holds until it ends."""


def hold_folder(folder: str | os.PathLike[str] = ".") -> None:
    """Hold the lock of a run until this process ends; on a file system without locks there is only Snakemake's own.

    Args:
        folder: the folder that Snakemake runs in.

    Raises:
        OvertopError: another run is using the folder.
    """
    path = Path(folder, _LOCK).resolve()
    if path in _held:
        return
    path.parent.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        place = Path(folder).resolve()
        raise OvertopError(f"{place}: is in use by another run; wait until it has ended, or stop it") from None
    except OSError:
        os.close(descriptor)
        return
    _held[path] = descriptor


def remove_stale_lock() -> None:
    """Remove Snakemake's lock of this folder if its run is dead, and say so; otherwise end the process with an error.

    For the targets of the Makefile, which are run again after whatever happened.
    """
    locks = list(_SNAKEMAKE_LOCKS.glob("*"))
    if not locks:
        return
    try:
        hold_folder()
    except OvertopError as error:
        print(f"overtop: {error}", file=sys.stderr)
        sys.exit(1)
    for lock in locks:
        lock.unlink(missing_ok=True)
    print(f"overtop: removed the lock that a killed run left in {Path().resolve()}", file=sys.stderr)
