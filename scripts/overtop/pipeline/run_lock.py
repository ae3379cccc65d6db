"""One run at a time in a folder, and the lock that a killed run leaves there.

Snakemake's own lock is a file that does not say whose it is, and that stays when its run is killed. Every run therefore
also holds a lock of the operating system, which ends with its process, and writes the name of its machine there.
"""

import fcntl
import os
import platform
from pathlib import Path

from overtop.errors import OvertopError

_LOCK = Path(".snakemake", "run.lock")
_SNAKEMAKE_LOCKS = Path(".snakemake", "locks")

_held: dict[Path, int] = {}
"""Descriptors of the locks that this process holds until it ends."""


def hold_folder(folder: str | os.PathLike[str] = ".") -> bool:
    """Hold the lock of a run until this process ends.

    Args:
        folder: the folder that Snakemake runs in.

    Returns:
        False if the file cannot be locked, as on a file system without locks; then there is only Snakemake's own lock.

    Raises:
        OvertopError: another run is using the folder.
    """
    path = Path(folder, _LOCK).resolve()
    if path not in _held:
        descriptor = _acquire(path)
        if descriptor is None:
            return False
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, platform.node().encode(), 0)
        _held[path] = descriptor
    return True


def _acquire(path: Path) -> int | None:
    """A descriptor that holds the lock, None if the file cannot be locked; `OvertopError` if another run has it."""
    try:
        path.parent.mkdir(exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:  # the folder is read-only, or the file is that of another user
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OvertopError(_describe_other_run(path.parent.parent)) from None
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _describe_other_run(folder: Path) -> str:
    machine = _machine_of_last_run(folder)
    place = f" on {machine}" if machine not in ("", platform.node()) else ""
    return f"{folder.resolve()}: is in use by another run{place}; wait until it has ended, or stop it"


def _machine_of_last_run(folder: Path) -> str:
    """The machine of the run that holds the lock or held it last, "" if unknown."""
    try:
        return (folder / _LOCK).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def remove_stale_lock(folder: str | os.PathLike[str] = ".") -> bool:
    """Remove Snakemake's lock of a folder if its run was killed, and return whether there was one.

    It is left where another run is alive, and where nothing proves that it was killed: on a file system without locks,
    or if the last run was on another machine, whose locks some file systems do not show.
    """
    locks = list(Path(folder, _SNAKEMAKE_LOCKS).glob("*"))
    if not locks or _machine_of_last_run(Path(folder)) != platform.node():
        return False
    try:
        if not hold_folder(folder):
            return False
    except OvertopError:
        return False
    for lock in locks:
        lock.unlink(missing_ok=True)
    return True


def describe_lock(folder: str | os.PathLike[str] = ".") -> str:
    """Why the folder is locked, and what to do, in one line."""
    try:
        descriptor = _acquire(Path(folder, _LOCK).resolve())
    except OvertopError as error:
        return str(error)
    if descriptor is not None:
        os.close(descriptor)
    machine = _machine_of_last_run(Path(folder)) or "an unknown machine"
    return (
        f"{Path(folder).resolve()}: has the lock of another run, which cannot be seen from here; if it has ended, run "
        f"`snakemake --unlock` and the same command again (last run: {machine})"
    )
