import io
import zipfile

import numpy as np
import pytest

from overtop.errors import OvertopError
from overtop.storage import bounds
from overtop.storage.numpy_files import as_texts, check_real, map_array, open_npz

ARRAYS = {
    "matrix": np.arange(6.0).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
    "empty": np.empty((0, 3), np.float32),
    "scalar": np.array(3),
    "texts": np.array(["a", "längerer Text"]),
    "no letters": np.array(["", ""]),
    "big-endian": np.arange(3, dtype=">f4"),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_those_that_numpy_reads(tmp_path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    with open_npz(tmp_path / "a.npz") as file:
        assert file.names == list(ARRAYS)
        for name, array in ARRAYS.items():
            assert file.ndim(name) == array.ndim
            np.testing.assert_array_equal(file.read(name), array)
            assert file.read(name).dtype == array.dtype


def test_array_larger_than_its_bound_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "FREE_EXPANSION", 10_000)
    np.savez_compressed(tmp_path / "a.npz", small=np.zeros(1000), large=np.zeros(100_000))
    with open_npz(tmp_path / "a.npz") as file:
        assert not file.read("small").any()
        with pytest.raises(OvertopError, match=r"a\.npz: array `large` has 800,000 bytes, but only .*savez"):
            file.read("large")


@pytest.mark.parametrize("shape", [(2,), (4,)])
def test_array_of_another_length_than_its_shape_says_is_named(tmp_path, shape):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content.getvalue() + bytes(12))
    with open_npz(tmp_path / "a.npz") as file, pytest.raises(OvertopError, match="array `x` is damaged"):
        file.read("x")


def test_zip_archive_of_other_files_is_no_npz(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.txt", "x")
    with (
        pytest.raises(OvertopError, match=r"a\.npz: is damaged or no \.npz file \(it has members"),
        open_npz(tmp_path / "a.npz"),
    ):
        pass


@pytest.mark.parametrize("names", [(b"captiont", b"captions"), (b"captions", b"captiont")], ids=["header", "directory"])
def test_array_whose_name_was_changed_is_named(tmp_path, names):
    """It might be an optional one, which would be missing without a word."""
    np.savez(tmp_path / "a.npz", image=np.zeros(2), captions=np.array(["a"]))
    start, middle, end = (tmp_path / "a.npz").read_bytes().split(b"captions")
    (tmp_path / "a.npz").write_bytes(start + names[0] + middle + names[1] + end)
    with pytest.raises(OvertopError, match=r"a\.npz: is damaged or no \.npz file"), open_npz(tmp_path / "a.npz"):
        pass


def test_npz_file_with_another_suffix_is_not_mapped(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(OvertopError, match=r"a\.npy: is not a plain \.npy array"):
        map_array(tmp_path / "a.npy")


def test_names_are_texts_or_numbers():
    assert as_texts("x", np.array([b"a", "ä".encode()])).tolist() == ["a", "ä"]
    assert as_texts("x", np.array([7, 12])).tolist() == ["7", "12"]
    for array in (np.array([1.5]), np.array([b"\xff"]), np.array(["\ud800"]), np.array([1], "m8[s]")):
        with pytest.raises(OvertopError, match="^x .*save strings of dtype str|^x: has a text that is no UTF-8"):
            as_texts("x", array)


@pytest.mark.parametrize("kind", ["c8", "m8[s]", "M8[s]", "?", "U1"])
def test_values_that_would_lose_a_part_are_named(kind):
    with pytest.raises(OvertopError, match="^x has dtype .*; save real numbers"):
        check_real("x", np.zeros(2, kind))
