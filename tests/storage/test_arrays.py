import hashlib

import h5py
import numpy as np
import pytest

from overtop.errors import OvertopError
from overtop.storage.arrays import atomic_hdf5, decode_strings, encode_strings, read_arrays, verify_arrays, write_arrays

ARRAYS = {
    "a/ids": encode_strings(["x", "café", ""]),
    "a/values": np.arange(6.0).reshape(2, 3),
    "none": np.empty((0, 4)),
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file.h5"
    write_arrays(path, "thing/1", ARRAYS, {"seed": 3, "names": ["a", "b"]})
    return path


def test_arrays_and_attributes_after_round_trip_are_equal(path):
    arrays, attributes = read_arrays(path, "thing/1")
    assert attributes == {"seed": 3, "names": ["a", "b"]}
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
    assert decode_strings(arrays["a/ids"]) == ["x", "café", ""]


def test_same_content_gives_same_bytes(path, tmp_path):
    again = tmp_path / "again.h5"
    write_arrays(again, "thing/1", dict(reversed(ARRAYS.items())), {"names": ["a", "b"], "seed": 3})
    assert again.read_bytes() == path.read_bytes()


def test_missing_file_is_rejected(tmp_path):
    with pytest.raises(OvertopError, match="no such file"):
        read_arrays(tmp_path / "absent.h5", "thing/1")


@pytest.mark.parametrize("length", [0, 100, 0.5, 0.9])
def test_truncated_file_is_rejected(path, length):
    content = path.read_bytes()
    path.write_bytes(content[: int(length * len(content)) if length < 1 else length])
    with pytest.raises(OvertopError, match=r"file\.h5: .*; delete it and run the same command again"):
        read_arrays(path, "thing/1")


@pytest.mark.parametrize("check", [read_arrays, verify_arrays])
def test_file_with_altered_value_is_rejected(path, check):
    with h5py.File(path, "r+") as file:
        file["a/values"][1, 2] += 1e-9
    with pytest.raises(OvertopError, match="digest"):
        check(path, "thing/1")


def test_arrays_of_any_number_of_dimensions_and_long_attributes_after_round_trip_are_equal(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {str(ndim): rng.random((3, 5, 2, 4)[:ndim]) for ndim in range(5)}
    attributes = {"names": [f"naïve {number}" for number in range(20_000)]}
    write_arrays(tmp_path / "x.h5", "thing/1", arrays, attributes, {"4": (1, 5, 2, 4)})
    assert verify_arrays(tmp_path / "x.h5", "thing/1") == attributes
    found, _ = read_arrays(tmp_path / "x.h5", "thing/1")
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_files_have_no_heap_of_pointers(path):
    """HDF5 has no checksum for it, and some damaged ones keep the library busy for ever."""
    assert b"GCOL" not in path.read_bytes()


def test_digest_is_that_of_the_bytes_behind_the_user_block(path):
    content = path.read_bytes()
    digits = content[len("overtop content_sha256 ") :][:64]
    assert digits.decode() == hashlib.sha256(content.replace(digits, b"0" * 64)).hexdigest()
    with h5py.File(path) as file:
        assert file.userblock_size == 512


def test_file_with_removed_array_is_rejected(path):
    with h5py.File(path, "r+") as file:
        del file["none"]
    with pytest.raises(OvertopError, match="digest"):
        read_arrays(path, "thing/1")


def test_file_with_altered_attributes_is_rejected(path):
    with h5py.File(path, "r+") as file:
        file.attrs["attributes"] = '{"seed": 4}'
    with pytest.raises(OvertopError, match="digest"):
        read_arrays(path, "thing/1")


def test_file_of_another_schema_is_rejected(path):
    with pytest.raises(OvertopError, match="has schema 'thing/1', expected 'thing/2'"):
        read_arrays(path, "thing/2")


def test_hdf5_file_of_another_program_is_rejected(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(OvertopError, match="has no digest, so it is damaged or not written by this version"):
        read_arrays(tmp_path / "other.h5", "thing/1")


def test_failed_write_leaves_previous_file_unchanged(path):
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_arrays(path, "thing/1", {"bad": np.array([object()])}, {})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["file.h5"]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            {"shape": (2**40,), "dtype": "f4", "chunks": (1024,)},
            "array 'x' claims 4,398,046,511,104 bytes, which are not in the file",
        ),
        ({"data": ["a", "b"]}, "array 'x' has elements of variable length"),
    ],
)
def test_array_of_another_program_is_rejected(path, array, message):
    with atomic_hdf5(path) as file:
        file.create_dataset("x", **array)
        file.attrs.update({"schema": np.bytes_("test/1"), "attributes": np.bytes_("{}")})
    with pytest.raises(OvertopError, match=message):
        read_arrays(path, "test/1")


@pytest.mark.parametrize(
    "change", [{"attributes": 7}, {"attributes": np.bytes_("[1]")}, {"schema": [1, 2]}, {"attributes": "{}"}]
)
def test_attribute_of_another_type_is_one_line_error(path, change):
    with atomic_hdf5(path) as file:
        file.attrs.update({"schema": np.bytes_("test/1"), "attributes": np.bytes_("{}"), **change})
    with pytest.raises(OvertopError, match=r"delete it") as caught:
        read_arrays(path, "test/1")
    assert "\n" not in str(caught.value)
