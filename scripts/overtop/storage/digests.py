"""The digest that a file carries: the hex sha256 of its bytes, in which the digits of the digest count as zeros.

A parquet file has it in its metadata, a JSON file under a key, a safetensors file in its metadata, an HDF5 file before
its content; for CSV, which has no place for it, see `overtop.storage.tables`. Readers check it before they interpret
anything of the file: of damaged HDF5 files, some keep the HDF5 library busy for ever.
"""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import BinaryIO, Literal

from overtop.errors import OvertopError

Kind = Literal["hdf5", "json", "parquet", "safetensors"]
"""A kind of files that carry their digest themselves."""

DIGEST_KEY = "content_sha256"
"""Key of the digest, in all kinds of files."""

UNSET = "0" * 64
"""What a writer puts in the place of the digest."""

_HDF5_MARK = f"overtop {DIGEST_KEY} ".encode()

HDF5_USER_BLOCK = (_HDF5_MARK + UNSET.encode() + b"\n").ljust(512, b"\0")
"""The first bytes of an HDF5 file, which the format leaves to others; 512 is their smallest number."""

REBUILD = "delete it and run the same command again"
"""What to do about a damaged file that a rule makes."""

_CHUNK_BYTES = 1 << 20
_DIGITS = re.compile(rb"[0-9a-f]{64}")


def store_digest(path: str | os.PathLike[str], kind: Kind) -> None:
    """Write the digest of a file into its place, which has `UNSET`.

    Args:
        path: the file.
        kind: what it is.
    """
    with open(path, "rb+") as file:
        place = _PLACES[kind](file)
        assert place is not None, f"{path}: its writer left no place for the digest"
        digest = _digest(file, place)
        file.seek(place)
        file.write(digest.encode())


def check_digest(path: str | os.PathLike[str], kind: Kind, fix: str = REBUILD) -> None:
    """Compare a file, which is not kept in memory, with the digest in it.

    Args:
        path: the file.
        kind: what it is.
        fix: what to do about a damaged file.

    Raises:
        OvertopError: the file is missing, truncated or altered, or has no digest.
    """
    with _open(path, fix) as file:
        _check(path, file, kind, fix)


def has_digest(path: str | os.PathLike[str], kind: Kind) -> bool:
    """Whether a file has a place for a digest, right or wrong."""
    with open(path, "rb") as file:
        return _PLACES[kind](file) is not None


def read_checked(path: str | os.PathLike[str], kind: Kind, fix: str = REBUILD) -> bytes:
    """Read a whole file and compare it with the digest in it; arguments and errors are those of `check_digest`."""
    content = read_bytes(path, fix)
    _check(path, BytesIO(content), kind, fix)
    return content


def read_bytes(path: str | os.PathLike[str], fix: str = REBUILD) -> bytes:
    """Read a whole file.

    Raises:
        OvertopError: the file is missing or cannot be read.
    """
    with _open(path, fix) as file:
        try:
            return file.read()
        except OSError as error:
            raise OvertopError(f"{path}: cannot be read ({error}); {fix}") from error


def differs_error(path: str | os.PathLike[str], fix: str = REBUILD) -> OvertopError:
    """The error of a file whose content is not that of its digest."""
    return OvertopError(f"{path}: content differs from its digest; {fix}")


def _open(path: str | os.PathLike[str], fix: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise OvertopError(f"{path}: no such file; run the rule that makes it") from None
    except OSError as error:
        raise OvertopError(f"{path}: cannot be read ({error}); {fix}") from error


def _check(path: str | os.PathLike[str], file: BinaryIO, kind: Kind, fix: str) -> None:
    place = _PLACES[kind](file)
    if place is None:
        raise OvertopError(f"{path}: has no digest, so it is damaged or not written by this version; {fix}")
    file.seek(place)
    if file.read(len(UNSET)).decode("ascii") != _digest(file, place):
        raise differs_error(path, fix)


def _digest(file: BinaryIO, place: int) -> str:
    """Hex sha256 of a file with zeros for the digits at `place`."""
    file.seek(0)
    digest = hashlib.sha256(file.read(place))
    digest.update(UNSET.encode())
    file.seek(place + len(UNSET))
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _after(content: bytes, position: int) -> int | None:
    """`position` if the digits of a digest are there."""
    return position if _DIGITS.fullmatch(content[position : position + len(UNSET)]) else None


def _place_in_json(file: BinaryIO) -> int | None:
    """Behind the only such key at the top level, as a text has no line break that is not escaped."""
    content, key = _read_from(file, 0), f'\n  "{DIGEST_KEY}": "'.encode()
    return _after(content, content.find(key) + len(key)) if content.count(key) == 1 else None


def _place_in_hdf5(file: BinaryIO) -> int | None:
    """Behind the mark with which the file begins."""
    content = _read_from(file, 0, len(HDF5_USER_BLOCK))
    return _after(content, len(_HDF5_MARK)) if content.startswith(_HDF5_MARK) else None


def _place_in_safetensors(file: BinaryIO) -> int | None:
    """Behind the first such key of the header, which begins with the metadata."""
    size = int.from_bytes(_read_from(file, 0, 8), "little")
    length = file.seek(0, os.SEEK_END)
    header, key = _read_from(file, 8, min(size, length)), f'{{\\"{DIGEST_KEY}\\": \\"'.encode()
    start = header.find(key)
    place = None if start < 0 else _after(header, start + len(key))
    return None if place is None else place + 8


def _place_in_parquet(file: BinaryIO) -> int | None:
    """Behind the last such key of the footer, of which the metadata are the end.

    In the compact encoding of Thrift, the byte 0x18 announces the value, and 0x40 its length, 64.
    """
    length = file.seek(0, os.SEEK_END)
    size = int.from_bytes(_read_from(file, max(0, length - 8), 4), "little")
    start = max(0, length - 8 - size)
    footer, key = _read_from(file, start), DIGEST_KEY.encode() + b"\x18\x40"
    found = footer.rfind(key)
    place = None if found < 0 else _after(footer, found + len(key))
    return None if place is None else start + place


def _read_from(file: BinaryIO, start: int, size: int = -1) -> bytes:
    file.seek(start)
    return file.read(size)


_PLACES: Mapping[Kind, Callable[[BinaryIO], int | None]] = {
    "hdf5": _place_in_hdf5,
    "json": _place_in_json,
    "parquet": _place_in_parquet,
    "safetensors": _place_in_safetensors,
}
"""For each kind of file the function that finds the place of the digest in it."""
