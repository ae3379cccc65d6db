"""Two folders exchange their names in one step, which Python's library has no function for."""

import ctypes
import os

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def exchange_names(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> bool:
    """Exchange the names of two existing folders of one file system: each name always has a whole folder.

    Returns:
        Whether it was done; False where the system or the file system cannot (Linux 3.15 and its common ones can).
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    done: int = rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return done == 0
