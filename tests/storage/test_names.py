import pytest

from overtop.errors import OvertopError
from overtop.storage.files import resolve_inside
from overtop.storage.names import FileNames


def test_different_names_are_accepted():
    names = FileNames("a.tar")
    for name in ("a/b.jpg", "a/c.jpg", "b.jpg", "a.jpg", "ä" * 100):
        names.add(name)


@pytest.mark.parametrize(
    ("former", "name", "message"),
    [
        ("a", "a", "'a' occurs more than once; keep one"),
        ("a", "./a", r"'\./a' and 'a' are one file, which occurs more than once"),
        ("b/../a", "a", "are one file"),
        ("a", "a/b", "'a' is a file and the folder of 'a/b'"),
        ("a/b/c", "a", "'a' is a file and the folder of 'a/b/c'"),
        ("x", "a\0b", "contains a control character"),
        ("x", "a\n.jpg", "contains a control character"),
        ("x", "a\ud800", "contains a half of a character"),
        ("x", "é" * 200, "is too long"),
        ("x", "a/" * 600 + "b", "is too long"),
        ("x", "", "is not the name of a file"),
        ("x", ".", "is not the name of a file"),
        ("x", "a/", "is not the name of a file"),
    ],
)
def test_name_that_cannot_be_written_is_one_line_error(former, name, message):
    names = FileNames("a.tar")
    names.add(former)
    with pytest.raises(OvertopError, match=f"^a.tar: .*{message}") as caught:
        names.add(name)
    assert "\n" not in str(caught.value)
    with pytest.raises(OvertopError, match="^a.tar, sample 3: "):
        names.add(name, "a.tar, sample 3")


@pytest.mark.parametrize("name", ["a\0", "\ud800", "x" * 300])
def test_path_that_no_file_can_have_is_an_error(tmp_path, name):
    with pytest.raises(OvertopError, match="rename the file"):
        resolve_inside(tmp_path, name)
