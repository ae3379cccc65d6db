"""Names of files that others chose, checked before anything is written under them."""

import os
import posixpath
import unicodedata

from overtop.errors import OvertopError

_LONGEST_PART, _LONGEST_NAME = 240, 1000
"""Bytes: file systems allow 255 for each part, of which temporary files need some, and about 4,000 for a path."""


class FileNames:
    """The files that are written to one folder: none of them twice, none where another needs a folder.

    Args:
        place: the file that the names are in, for messages.

    Example:
        >>> names = FileNames("a")
        >>> names.add("a/b.jpg")
        >>> names.add("./a/b.jpg")
        Traceback (most recent call last):
        overtop.errors.OvertopError: a: './a/b.jpg' and 'a/b.jpg' are one file, which occurs more than once; keep one
    """

    def __init__(self, place: str | os.PathLike[str]) -> None:
        self._place = place
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def add(self, name: str, place: str = "") -> None:
        """Check one more name.

        Args:
            name: the name, relative to the folder.
            place: where it is from, if that is only a part of the file that all are in.

        Raises:
            OvertopError: it is no name of a file, one that occurred, or in the way of one.
        """
        place = place or str(self._place)
        if problem := problem_of(name):
            raise OvertopError(f"{place}: the name {name[:80]!a} {problem}; rename the file")
        path = posixpath.normpath(name)
        if path == "." or name.endswith("/"):
            raise OvertopError(f"{place}: the name {name!r} is not the name of a file; rename the file")
        if (former := self._files.get(path)) is not None:
            spelled = f"{name!r} occurs" if former == name else f"{name!r} and {former!r} are one file, which occurs"
            raise OvertopError(f"{place}: {spelled} more than once; keep one")
        folders = [path[:end] for end, character in enumerate(path) if character == "/"]
        file = next((self._files[folder] for folder in folders if folder in self._files), None)
        if file is not None or path in self._folders:
            outer, inner = (file, name) if file is not None else (name, self._folders[path])
            raise OvertopError(f"{place}: {outer!r} is a file and the folder of {inner!r}; rename one")
        self._files[path] = name
        self._folders.update((folder, name) for folder in folders)


def problem_of(name: str) -> str | None:
    """What keeps a text from being a path inside a folder; None if nothing does."""
    if any(unicodedata.category(character) == "Cc" for character in name):
        return "contains a control character"
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return "contains a half of a character"
    if len(encoded) > _LONGEST_NAME or max(map(len, encoded.split(b"/"))) > _LONGEST_PART:
        return f"is too long (at most {_LONGEST_PART} bytes between slashes, and {_LONGEST_NAME} in all)"
    return None
