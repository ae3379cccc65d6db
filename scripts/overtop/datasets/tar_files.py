"""Members of tar archives that others made: of bounded size, and no end in the middle of the file."""

import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from overtop.errors import OvertopError
from overtop.storage.bounds import MAX_IMAGE_BYTES, MAX_SAMPLE_TEXT_BYTES

_FILES_AND_LINKS = (*tarfile.REGULAR_TYPES, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE)


class BoundedTarInfo(tarfile.TarInfo):
    """A header of a member; tarfile reads headers with long names whole, whatever size they claim."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """The header in a block of bytes.

        Raises:
            ValueError: it announces a longer name than any file has.
        """
        header = super().frombuf(buf, encoding, errors)
        if header.type not in _FILES_AND_LINKS and header.size > MAX_SAMPLE_TEXT_BYTES:
            raise ValueError(f"a header has {header.size:,} bytes")
        return header


def read_tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo, limit: int = MAX_IMAGE_BYTES) -> bytes:
    """The content of a regular file of an archive.

    Raises:
        ValueError: it is larger than `limit` bytes, sparse, or ends early.
    """
    if member.issparse() or member.size > limit:
        raise ValueError(f"member {member.name!r} is sparse, or has more than {limit:,} bytes")
    handle = archive.extractfile(member)
    content = handle.read() if handle is not None else b""
    if len(content) < member.size:
        raise ValueError(f"member {member.name!r} ends early")
    return content


def check_end_of_archive(path: Path, members: Sequence[tarfile.TarInfo]) -> None:
    """Check that an empty block follows the last member; tarfile ignores truncation and damaged headers there.

    Args:
        path: an uncompressed tar archive.
        members: all its members.

    Raises:
        OvertopError: the archive is truncated, or a header is damaged.
    """
    end = members[-1].offset_data + members[-1].size if members else 0
    with open(path, "rb") as handle:
        handle.seek(-(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
        if handle.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise OvertopError(
                f"{path}: truncated after {members[-1].name if members else 'no member'}; the archive is damaged, get "
                "it again"
            )
