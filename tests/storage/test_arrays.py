import h5py
import numpy as np
import pytest

from overtop.errors import OvertopError
from overtop.storage.arrays import decode, encode, read_arrays, write_arrays

ARRAYS = {"a/ids": encode(["x", "café", ""]), "a/values": np.arange(6.0).reshape(2, 3), "none": np.empty((0, 4))}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file.h5"
    write_arrays(path, "thing/1", ARRAYS, {"seed": 3, "names": ["a", "b"]})
    return path


def test_round_trip(path):
    arrays, attributes = read_arrays(path, "thing/1")
    assert attributes == {"seed": 3, "names": ["a", "b"]}
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
    assert decode(arrays["a/ids"]) == ["x", "café", ""]


def test_same_content_same_bytes(path, tmp_path):
    again = tmp_path / "again.h5"
    write_arrays(again, "thing/1", dict(reversed(ARRAYS.items())), {"names": ["a", "b"], "seed": 3})
    assert again.read_bytes() == path.read_bytes()


def test_missing(tmp_path):
    with pytest.raises(OvertopError, match="no such file"):
        read_arrays(tmp_path / "absent.h5", "thing/1")


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.9])
def test_truncated(path, keep):
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else keep])
    with pytest.raises(OvertopError, match=r"file\.h5: .*rebuild"):
        read_arrays(path, "thing/1")


def test_altered_value(path):
    with h5py.File(path, "r+") as file:
        file["a/values"][1, 2] += 1e-9
    with pytest.raises(OvertopError, match="digest"):
        read_arrays(path, "thing/1")


def test_removed_array(path):
    with h5py.File(path, "r+") as file:
        del file["none"]
    with pytest.raises(OvertopError, match="digest"):
        read_arrays(path, "thing/1")


def test_altered_attributes(path):
    with h5py.File(path, "r+") as file:
        file.attrs["attributes"] = '{"seed": 4}'
    with pytest.raises(OvertopError, match="digest"):
        read_arrays(path, "thing/1")


def test_other_kind(path):
    with pytest.raises(OvertopError, match="'thing/1'.*'thing/2'"):
        read_arrays(path, "thing/2")


def test_not_ours(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(OvertopError, match="not written by overtop"):
        read_arrays(tmp_path / "other.h5", "thing/1")


def test_failed_write_leaves_the_old_file(path):
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_arrays(path, "thing/1", {"bad": np.array([object()])}, {})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["file.h5"]
