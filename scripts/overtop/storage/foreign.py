"""Reading files that others made: whatever is wrong with one is reported as one named error."""

import csv
import gzip
import io
import lzma
import struct
import tarfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pyarrow import ArrowException

from overtop.errors import OvertopError
from overtop.storage.bounds import MAX_TEXT_BYTES

READ_ERRORS = (
    OSError,  # includes gzip.BadGzipFile and UnidentifiedImageError of Pillow
    EOFError,
    ValueError,  # includes UnicodeError, JSONDecodeError, ArrowInvalid and ValidationError of pydantic
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,  # includes RecursionError and NotImplementedError
    MemoryError,
    SyntaxError,  # damaged PNG files
    csv.Error,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    tokenize.TokenError,  # headers of .npy files
    zipfile.BadZipFile,
    zlib.error,
    ArrowException,
)
"""What Python's and others' readers raise on damaged files, depending on the byte that is damaged."""

_LONGEST_REASON = 200

_FIX = "it is damaged or another file, get it again"


@contextmanager
def report_damage(
    place: str | Path, fix: str, what: str = "cannot be read", also: type[Exception] = OSError
) -> Iterator[None]:
    """Convert what a library raises while it reads a file into an `OvertopError`: `PLACE: WHAT (REASON); FIX`.

    Only calls of readers belong into the block: a mistake of our own in it would be blamed on the file.

    Args:
        place: the file, and where known the place in it.
        fix: what to do about it.
        what: what is wrong.
        also: the error of a library that is not among `READ_ERRORS`.
    """
    try:
        yield
    except (*READ_ERRORS, also) as error:
        raise OvertopError(f"{place}: {what} ({describe(error)}); {fix}") from error


def describe(error: BaseException) -> str:
    """The message of an error in one line of bounded length, after the name of its class where it needs it."""
    reason = " ".join(str(error).split()).encode(errors="replace").decode()
    if len(reason) > _LONGEST_REASON:
        reason = f"{reason[:_LONGEST_REASON]}..."
    needs_name = not reason or isinstance(error, LookupError | TypeError | AttributeError | AssertionError)
    return f"{type(error).__name__}: {reason}".removesuffix(": ") if needs_name else reason


def read_bounded(handle: IO[bytes] | gzip.GzipFile, limit: int) -> bytes:
    """The rest of an open file, which may be compressed.

    Raises:
        ValueError: it has more than `limit` bytes.
    """
    content = handle.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it has more than {limit:,} bytes")
    return content


def read_bytes(path: Path, limit: int = MAX_TEXT_BYTES) -> bytes:
    """The content of a file, as it is.

    Raises:
        OvertopError: it cannot be read, or has more than `limit` bytes.
    """
    with report_damage(path, _FIX), open(path, "rb") as handle:
        return read_bounded(handle, limit)


def decompress(name: str | Path, content: bytes) -> bytes:
    """The content of a file without its compression, by the suffix `.gz` of its name.

    Raises:
        OvertopError: it is damaged, or has more than `MAX_TEXT_BYTES` decompressed bytes.
    """
    if not str(name).endswith(".gz"):
        return content
    with report_damage(name, _FIX, "cannot be decompressed"), gzip.open(io.BytesIO(content)) as handle:
        return read_bounded(handle, MAX_TEXT_BYTES)


def read_text(path: Path, limit: int = MAX_TEXT_BYTES) -> str:
    """The content of a UTF-8 text file, with or without a byte order mark; that of a `.gz` file decompressed.

    Raises:
        OvertopError: it cannot be read, is no UTF-8, or has more than `limit` bytes.
    """
    content = decompress(path, read_bytes(path, limit))
    with report_damage(path, _FIX, "is not UTF-8 text"):
        return content.decode("utf-8-sig")
