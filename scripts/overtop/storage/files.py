"""Atomic writing of files and folders, file digests, and paths that stay inside a folder.

Several processes may write one target at once: each writes under a name of its own, and the last rename wins as a
whole. What a killed process left is removed by the next one that writes into the folder.
"""

import errno
import hashlib
import itertools
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from overtop.errors import OvertopError
from overtop.storage.exchange import exchange_names
from overtop.storage.names import problem_of

_DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
"""Errors of file systems that cannot sync a folder."""

_STEM_CHARACTERS = 40
"""Characters of the target in a temporary name, which must not be too long for the file system."""

_TEMPORARY = re.compile(r"\..*\.(?P<space>[0-9a-f]{8})-(?P<process>\d+)-\d+\.tmp(\..*)?", re.DOTALL)

_FOREIGN_AGE_SECONDS = 24 * 3600.0
"""Time without a change after which the temporary file of a process on another machine is taken for a leftover."""

_numbers = itertools.count()


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` on success, remove it on failure.

    The temporary file has the suffix of `path`, because some writers choose the format by it.

    Raises:
        OvertopError: the disk or quota is full; `path` is unchanged.
    """
    with temporary_path(path) as temporary:
        yield temporary
        sync_and_rename(temporary, path)


@contextmanager
def temporary_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`, for a file that the caller renames; remove what is left of it.

    Raises:
        OvertopError: the disk or quota is full.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _new_path(target)
    try:
        with report_disk_full(target):
            yield temporary
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def sync_and_rename(temporary: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Rename a complete file to its final name after its bytes are on the disk, and put the new name there too."""
    with open(temporary, "rb+") as handle:
        os.fsync(handle.fileno())
    os.replace(temporary, target)
    sync_folder(Path(target).parent)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Put the names in a folder on the disk, where its file system can do so."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder in the same place; rename it to `path` on success, remove it on failure.

    A folder that exists at `path` is replaced.

    Raises:
        OvertopError: the disk or quota is full; `path` is unchanged.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary, former = _new_path(target), _new_path(target)
    temporary.mkdir()
    try:
        with report_disk_full(target):
            yield temporary
            for file in temporary.iterdir():
                sync_and_rename(file, file)
        _replace_folder(temporary, target, former)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


def _replace_folder(temporary: Path, target: Path, former: Path) -> None:
    """Rename a folder to its final name; the one that has it, perhaps of another process meanwhile, makes way."""
    while True:
        try:
            os.replace(temporary, target)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if exchange_names(temporary, target):
            return
        shutil.rmtree(former, ignore_errors=True)
        with suppress(FileNotFoundError):
            os.replace(target, former)


def is_temporary(name: str) -> bool:
    """Whether a file has the name of one that is being written, or whose writer was killed."""
    return _TEMPORARY.fullmatch(name) is not None


def is_leftover(path: Path | os.DirEntry[str]) -> bool:
    """Whether a file or folder is a temporary one of a process that is dead."""
    name = _TEMPORARY.fullmatch(path.name)
    if name is None:
        return False
    if name["space"] == _process_space():
        return not _is_running(int(name["process"]))
    with suppress(FileNotFoundError):
        return time.time() - path.stat(follow_symlinks=False).st_mtime > _FOREIGN_AGE_SECONDS
    return False


def _new_path(target: Path) -> Path:
    """A name in the folder of `target` that no other process uses, after the leftovers there were removed."""
    _remove_leftovers(target.parent, os.getpid())
    owner = f"{_process_space()}-{os.getpid()}-{next(_numbers)}"
    return target.with_name(f".{target.stem[:_STEM_CHARACTERS]}.{owner}.tmp{target.suffix}")


@cache
def _remove_leftovers(folder: Path, _process: int) -> None:
    """Remove what dead processes left in a folder; once per process, as a folder may have very many files."""
    for entry in os.scandir(folder):
        if not is_leftover(entry):
            continue
        with suppress(FileNotFoundError):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


@cache
def _process_space() -> str:
    """A name of where process numbers are unique: this start of this machine, or this container on it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        space = f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        space = socket.gethostname()
    return hashlib.sha256(space.encode()).hexdigest()[:8]


@contextmanager
def report_disk_full(path: str | os.PathLike[str]) -> Iterator[None]:
    """Convert the error of a full disk or quota while `path` is written into an `OvertopError`."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # some libraries report a full disk as a RuntimeError
        if any(os.strerror(code) in str(error) for code in _DISK_FULL_ERRORS):
            raise OvertopError(
                f"{path}: no space left on the disk to write it; free some space and run the same command again, "
                "no incomplete file remains under this name"
            ) from error
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(path: str | os.PathLike[str]) -> str:
    """Hex sha256 of the content of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def resolve_inside(root: str | os.PathLike[str], relative: str) -> Path:
    """`root / relative`, after checking that it does not leave `root` (absolute path, `..`, symbolic link).

    Raises:
        OvertopError: the path points outside `root`, or is no path.
    """
    if problem := problem_of(relative):
        raise OvertopError(f"the name {relative[:80]!a} {problem}; rename the file")
    base = Path(root).resolve()
    path = (base / relative).resolve()
    if not path.is_relative_to(base):
        raise OvertopError(f"{relative!r} points outside {root}; give a path inside that folder")
    return Path(root) / relative
