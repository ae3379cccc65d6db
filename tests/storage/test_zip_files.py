import io
import struct
import zipfile

import pytest

from overtop.storage.zip_files import check_directory

COMMENT_LENGTH = 32
"""Where it is in an entry of the directory."""


@pytest.fixture
def content():
    """An archive of two members; one has a comment."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in ("first.txt", "second.txt"):
            member = zipfile.ZipInfo(name)
            member.comment = b"a comment" if name == "first.txt" else b""
            archive.writestr(member, name)
    return target.getvalue()


def test_whole_archive_is_accepted(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        check_directory(archive)


def test_entry_that_another_one_contains_is_an_error(content):
    entries = [position for position in range(len(content)) if content.startswith(b"PK\x01\x02", position)]
    end = content.rindex(b"PK\x05\x06")
    damaged = bytearray(content)
    length = end - entries[0] - 46 - len("first.txt")
    damaged[entries[0] + COMMENT_LENGTH : entries[0] + COMMENT_LENGTH + 2] = struct.pack("<H", length)
    with zipfile.ZipFile(io.BytesIO(damaged)) as archive:
        assert archive.namelist() == ["first.txt"], "zipfile does not notice"
        with pytest.raises(ValueError, match="a length in its directory is wrong"):
            check_directory(archive)


def test_other_name_than_that_of_the_member_is_an_error(content):
    damaged = content[::-1].replace(b"second"[::-1], b"Second"[::-1], 1)[::-1]  # the last one, in the directory
    with zipfile.ZipFile(io.BytesIO(damaged)) as archive, pytest.raises(zipfile.BadZipFile, match="differ"):
        check_directory(archive)
