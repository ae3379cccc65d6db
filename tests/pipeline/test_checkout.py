"""One library for a run: that of the checkout whose workflow runs."""

import os

import pytest

from overtop.errors import OvertopError
from overtop.pipeline.checkout import LIBRARY, check_checkout, share_library


def test_library_of_another_checkout_is_an_error(tmp_path):
    check_checkout(LIBRARY.parent)
    with pytest.raises(OvertopError, match=rf"^this is the library of .*; .* set PYTHONPATH={tmp_path}/scripts$"):
        check_checkout(tmp_path / "scripts")


def test_library_precedes_the_users_paths_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"/a{os.pathsep}{os.pathsep}{tmp_path}")
    share_library(tmp_path)
    share_library(tmp_path)
    assert os.environ["PYTHONPATH"] == f"{tmp_path}{os.pathsep}/a"
