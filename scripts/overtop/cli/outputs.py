"""Checks of where results go, before any time is spent on them."""

import os
from collections.abc import Sequence
from pathlib import Path

from overtop.errors import OvertopError
from overtop.storage.embedding_files import GALLERY_FACTS


def check_output(path: Path, suffixes: Sequence[str], inputs: Sequence[Path | None] = ()) -> None:
    """Check that a file can be written.

    Args:
        path: the file.
        suffixes: those that its name may have.
        inputs: files of the command that it must not replace.

    Raises:
        OvertopError: another suffix, the folder is missing or cannot be written to, or the file is an input.
    """
    if path.suffix not in suffixes:
        raise OvertopError(f"-o {path}: the name must end in {' or '.join(suffixes)}")
    if path.is_dir():
        raise OvertopError(f"-o {path}: this is a folder; name a file")
    _check_parent(path)
    for source in inputs:
        if source is not None and path.exists() and source.exists() and path.samefile(source):
            raise OvertopError(f"-o {path}: this file is an input of the command; choose another name")


def check_output_folder(path: Path) -> None:
    """Check that a folder can be made, or filled if it is empty.

    Raises:
        OvertopError: it is a file, or a folder with content, or the folder above cannot be written to.
    """
    if path.exists() and not path.is_dir():
        raise OvertopError(f"-o {path}: this is a file; name a folder")
    if path.is_dir() and any(path.iterdir()) and not (path / GALLERY_FACTS).is_file():
        raise OvertopError(f"-o {path}: the folder has other content; name a new folder")
    _check_parent(path)


def _check_parent(path: Path) -> None:
    folder = path.absolute().parent
    if not folder.is_dir():
        raise OvertopError(f"-o {path}: the folder {path.parent} does not exist; create it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OvertopError(f"-o {path}: the folder {path.parent} cannot be written to; choose another one")
