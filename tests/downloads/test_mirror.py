from pathlib import Path

import pytest

from overtop.downloads.mirror import resolve_in_mirror
from overtop.errors import OvertopError


def test_relative_path_is_inside_mirror() -> None:
    assert resolve_in_mirror("a/b", "/mirror", "key") == Path("/mirror/a/b")


def test_absolute_path_needs_no_mirror() -> None:
    assert resolve_in_mirror("/a/b", "/mirror", "key") == resolve_in_mirror("/a/b", None, "key") == Path("/a/b")


def test_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/user")
    assert resolve_in_mirror("~/a", None, "key") == Path("/home/user/a")
    assert resolve_in_mirror("a", "~/mirror", "key") == Path("/home/user/mirror/a")


def test_relative_path_without_mirror_is_one_line_error() -> None:
    with pytest.raises(
        OvertopError, match=r"^sources\.x\.path: 'a/b' is relative .*mirror=FOLDER, or .* OVERTOP_MIRROR$"
    ):
        resolve_in_mirror("a/b", None, "sources.x.path")


def test_mirror_of_the_environment_is_used_if_none_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERTOP_MIRROR", "/other")
    assert resolve_in_mirror("a", None, "key") == Path("/other/a")
    assert resolve_in_mirror("a", "/mirror", "key") == Path("/mirror/a")
