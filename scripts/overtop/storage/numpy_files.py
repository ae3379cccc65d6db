"""Arrays in `.npy` and `.npz` files that others made. No file is ever unpickled, and no size in it is believed."""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from overtop.errors import OvertopError
from overtop.storage.bounds import largest_array
from overtop.storage.foreign import report_damage
from overtop.storage.zip_files import check_directory

_COPY = "write it with numpy.savez, or copy it again"


def map_array(path: Path) -> np.ndarray:
    """Memory-map the array in a `.npy` file.

    Raises:
        OvertopError: the file is truncated, or not a plain array.
    """
    with report_damage(path, "save it again with numpy.save", "is not a plain .npy array"):
        return np.lib.format.open_memmap(path, mode="r")


class NpzFile:
    """The arrays of an open `.npz` file, read one by one.

    Attributes:
        path: the file, for messages.
        names: names of the arrays.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self._archive = path, archive
        self._members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        self.names = list(self._members)

    def ndim(self, name: str) -> int:
        """The number of dimensions of an array, by its header."""
        with self._open(name) as handle:
            return len(_read_header(handle)[0])

    def read(self, name: str) -> np.ndarray:
        """One array.

        Raises:
            OvertopError: it is damaged, consists of pickled objects, or is larger than its file can reasonably hold.
        """
        with self._open(name) as handle:
            shape, in_fortran_order, dtype = _read_header(handle)
            if dtype.hasobject:
                raise OvertopError(
                    f"{self.path}: array `{name}` cannot be read without pickle; save numbers, or strings of dtype str"
                )
            self._check_size(name, math.prod(shape) * dtype.itemsize)
            content = bytearray(math.prod(shape) * dtype.itemsize)
            if handle.readinto(memoryview(content)) != len(content) or handle.read(1):  # type: ignore[attr-defined]
                raise ValueError("it has more or fewer values than its shape says")
            array = np.frombuffer(content, dtype) if dtype.itemsize else np.zeros(math.prod(shape), dtype)
            return array.reshape(shape[::-1]).T if in_fortran_order else array.reshape(shape)

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        with (
            report_damage(self.path, "write or copy the file again", f"array `{name}` is damaged"),
            self._archive.open(self._members[name]) as handle,
        ):
            yield handle

    def _check_size(self, name: str, size: int) -> None:
        member = self._members[name]
        bound = largest_array(member.compress_size)
        if size > bound:
            raise OvertopError(
                f"{self.path}: array `{name}` has {size:,} bytes, but only {member.compress_size:,} in the file, which "
                f"may hold {bound:,}; write the file again without compression (numpy.savez)"
            )


def _read_header(handle: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """The shape, whether the values are in Fortran order, and the type of an array."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(handle)
    if version not in readers:
        raise ValueError(f"version {version} of the format is not read")
    return readers[version](handle)


@contextmanager
def open_npz(path: Path) -> Iterator[NpzFile]:
    """Open an `.npz` file.

    Raises:
        OvertopError: it is no such file, or damaged.
    """
    with report_damage(path, _COPY, "is damaged or no .npz file"):
        archive = zipfile.ZipFile(path)
        members = archive.infolist()
        if any(not member.filename.endswith(".npy") for member in members):
            raise ValueError("it has members that are no arrays")
        if len({member.filename for member in members}) < len(members):
            raise ValueError("it has an array twice")
        check_directory(archive)
    with archive:
        yield NpzFile(path, archive)


def as_texts(place: str, array: np.ndarray) -> np.ndarray:
    """An array of names or captions as texts; numbers are names as well.

    Args:
        place: the array, for messages.
        array: strings of any kind, or integers.

    Raises:
        OvertopError: it has other values, or bytes that are no UTF-8.
    """
    if array.dtype.kind not in "USiu":
        raise OvertopError(f"{place} has dtype {array.dtype}; save strings of dtype str")
    with report_damage(place, "save strings of dtype str", "has a text that is no UTF-8"):
        texts = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array.astype(str)
        "".join(texts.ravel().tolist()).encode()  # halves of characters cannot be written
    return texts


def check_real(place: str | Path, array: np.ndarray) -> None:
    """Check that an array has real numbers: complex ones, times and structures would lose a part of their values.

    Raises:
        OvertopError: it has not.
    """
    if array.dtype.kind not in "fiu":
        raise OvertopError(f"{place} has dtype {array.dtype}; save real numbers, such as float32")
