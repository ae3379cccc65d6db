"""The directory of a zip archive, which has no checksum."""

import zipfile

_ENTRY = b"PK\x01\x02"
"""With which each entry of the directory begins."""


def check_directory(archive: zipfile.ZipFile) -> None:
    """Compare the directory of an open archive with the headers of its members, so that none is missing unnoticed.

    Raises:
        ValueError: an entry is a part of another one, as a length in that one is wrong.
        zipfile.BadZipFile: a name is not that of the member.
    """
    for member in archive.infolist():
        if _ENTRY in member.comment or _ENTRY in member.extra:
            raise ValueError("a length in its directory is wrong")
        archive.open(member).close()
