import numpy as np
import pandas as pd
import pytest

from overtop.errors import OvertopError
from overtop.storage.embedding_files import open_embeddings
from overtop.storage.shards import write_shard

ROWS = np.arange(24, dtype=np.float64).reshape(2, 3, 4) + 1


def write_clip_retrieval(folder, sizes=(2, 11), suffixes=(2, 10)):
    """Write images and texts in parts whose numbers do not sort as text; return both arrays."""
    embeddings = {kind: np.random.default_rng(len(kind)).normal(size=(sum(sizes), 4)) for kind in ("img", "text")}
    bounds = np.cumsum([0, *sizes])
    for kind, rows in embeddings.items():
        (folder / f"{kind}_emb").mkdir(parents=True)
        for number, start, stop in zip(suffixes, bounds, bounds[1:], strict=False):
            np.save(folder / f"{kind}_emb" / f"{kind}_emb_{number}.npy", rows[start:stop].astype(np.float16))
    (folder / "metadata").mkdir()
    for number, start, stop in zip(suffixes, bounds, bounds[1:], strict=False):
        names = {
            "image_path": [f"{i}.jpg" for i in range(start, stop)],
            "caption": [f"a {i}" for i in range(start, stop)],
        }
        pd.DataFrame(names).to_parquet(folder / "metadata" / f"metadata_{number}.parquet")
    return {kind: rows.astype(np.float16).astype(np.float32) for kind, rows in embeddings.items()}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("samples", [1, 2])
def test_npy_file_is_read_as_float32(dtype, samples, tmp_path):
    rows = ROWS[:samples].astype(dtype)
    np.save(tmp_path / "a.npy", rows[0] if samples == 1 else rows)
    source = open_embeddings(tmp_path / "a.npy")
    assert (source.n_samples, source.n_items, source.dims) == (samples, 3, (4,) * samples)
    assert source.item_ids == ["0", "1", "2"]
    for sample in range(samples):
        part = source.read(sample, 1, 3)
        assert part.dtype == np.float32
        np.testing.assert_array_equal(part, ROWS[sample, 1:3])


def test_parts_are_read_in_numerical_order(tmp_path):
    embeddings = write_clip_retrieval(tmp_path)
    source = open_embeddings(tmp_path / "img_emb")
    assert source.item_ids == [f"{i}.jpg" for i in range(13)]
    for start, stop in ((0, 13), (0, 2), (1, 3), (2, 13), (5, 5), (13, 13), (12, 13)):
        np.testing.assert_array_equal(source.read(0, start, stop), embeddings["img"][start:stop])


def test_folder_of_clip_retrieval_is_opened_by_modality(tmp_path):
    embeddings = write_clip_retrieval(tmp_path)
    source = open_embeddings(tmp_path, modality="text")
    assert source.item_ids == [f"a {i}" for i in range(13)]
    np.testing.assert_array_equal(source.read(0, 0, 13), embeddings["text"])
    with pytest.raises(OvertopError, match="contains images and texts"):
        open_embeddings(tmp_path)


def test_npz_file_is_opened_by_modality(tmp_path):
    names = {"filenames": ["a", "b", "c"], "captions": ["x", "y"]}
    np.savez(tmp_path / "a.npz", image=ROWS[0], text=ROWS[1, :2], **names)
    images, texts = (open_embeddings(tmp_path / "a.npz", modality=modality) for modality in ("image", "text"))
    assert (images.item_ids, texts.item_ids) == (["a", "b", "c"], ["x", "y"])
    np.testing.assert_array_equal(texts.read(0, 0, 2), ROWS[1, :2])


def test_only_embeddings_of_an_npz_file_are_used(tmp_path):
    np.savez(tmp_path / "a.npz", labels=np.arange(3), vectors=ROWS)
    source = open_embeddings(tmp_path / "a.npz")
    assert (source.n_samples, source.n_items) == (2, 3)


def test_shard_is_opened(tmp_path):
    write_shard(
        tmp_path / "image-0of1.h5", ROWS, ["a", "b", "c"], np.array([True, False, True]), {"shard": 0, "shards": 1}
    )
    for path in (tmp_path, tmp_path / "image-0of1.h5"):
        source = open_embeddings(path)
        assert source.item_ids == ["a", "c"]
        np.testing.assert_array_equal(source.read(1, 0, 2), ROWS[1, [0, 2]])


def test_names_replace_the_stored_ones(tmp_path):
    np.save(tmp_path / "a.npy", ROWS[0])
    assert open_embeddings(tmp_path / "a.npy", ids=[7, 8, 9]).item_ids == ["7", "8", "9"]
    with pytest.raises(OvertopError, match="has 3 embeddings, but 2 names are given"):
        open_embeddings(tmp_path / "a.npy", ids=["x", "y"])


def truncated(path):
    np.save(path, ROWS)
    path.write_bytes(path.read_bytes()[:-8])


BAD_FILES = {
    "missing": ("a.npy", lambda path: None, "no such file or folder"),
    "other format": ("a.txt", lambda path: path.write_text("1 2"), r"not read from .txt files"),
    "truncated": ("a.npy", truncated, "is not a plain .npy array"),
    "empty file": ("a.npy", lambda path: path.write_bytes(b""), "is not a plain .npy array"),
    "objects": ("a.npy", lambda path: np.save(path, np.array([{}, {}])), "is not a plain .npy array"),
    "one dimension": ("a.npy", lambda path: np.save(path, np.ones(3)), r"has shape \(3,\)"),
    "integers": ("a.npy", lambda path: np.save(path, np.ones((3, 2), int)), "has dtype int64"),
    "no rows": ("a.npy", lambda path: np.save(path, np.ones((0, 2))), "contains no embeddings"),
    "no samples": ("a.npy", lambda path: np.save(path, np.ones((0, 3, 2))), r"has shape \(0, 3, 2\)"),
    "empty folder": ("a", lambda path: path.mkdir(), "contains no embeddings"),
    "not a zip": ("a.npz", lambda path: path.write_bytes(b"zip"), "is damaged or no .npz file"),
    "two arrays": ("a.npz", lambda path: np.savez(path, a=ROWS, b=ROWS), r"has 2 arrays that could be .* \(a, b\)"),
    "no arrays": ("a.npz", lambda path: np.savez(path, a=np.arange(3)), r"has 0 arrays that could be .* \(none\)"),
    "names": ("a.npz", lambda path: np.savez(path, image=ROWS, filenames=["x"]), "but 1 names are given"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_is_one_line_with_its_path(case, tmp_path):
    name, write, message = BAD_FILES[case]
    write(tmp_path / name)
    with pytest.raises(OvertopError, match=message) as raised:
        open_embeddings(tmp_path / name)
    assert str(raised.value).startswith(str(tmp_path / name))
    assert "\n" not in str(raised.value)


def test_other_modality_than_the_file_has_is_an_error(tmp_path):
    np.savez(tmp_path / "a.npz", image=ROWS)
    with pytest.raises(OvertopError, match="contains no embeddings of modality text; it has image"):
        open_embeddings(tmp_path / "a.npz", modality="text")


def test_parts_of_different_dimensions_are_an_error(tmp_path):
    np.save(tmp_path / "p_1.npy", np.ones((2, 4)))
    np.save(tmp_path / "p_2.npy", np.ones((2, 5)))
    with pytest.raises(OvertopError, match=r"p_2.npy: has samples and dimensions \(1, 5\), but p_1.npy has \(1, 4\)"):
        open_embeddings(tmp_path)


def test_metadata_of_another_run_is_an_error(tmp_path):
    write_clip_retrieval(tmp_path)
    (tmp_path / "metadata" / "metadata_10.parquet").unlink()
    with pytest.raises(OvertopError, match="13 embeddings, but .*metadata has 2 rows"):
        open_embeddings(tmp_path, modality="image")
