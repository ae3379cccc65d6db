import numpy as np
import pandas as pd
import pytest

from overtop.config.datasets import EmbeddingsDataset
from overtop.datasets.embeddings import fetch, load
from overtop.datasets.raw import Context
from overtop.errors import OvertopError
from overtop.storage.shards import write_shard
from overtop.storage.split import Split, write_split

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(3, 4)).astype(np.float32)
TEXT = RNG.normal(size=(5, 4)).astype(np.float32)


def _npz(tmp_path, **arrays):
    np.savez(tmp_path / "e.npz", **arrays)
    return load(tmp_path)


def test_pairs_by_position(tmp_path):
    imported = _npz(tmp_path, image=IMAGE, text=TEXT[:3], filenames=np.array(["x", "y", "z"]))
    assert imported.split.image_ids == ["x", "y", "z"]
    assert imported.image.shape == (1, 3, 4)
    np.testing.assert_array_equal(imported.text[0], TEXT[:3])


def test_captions_are_brought_into_the_order_of_their_images_with_their_embeddings(tmp_path):
    owner = np.array([2, 0, 1, 0, 2])
    captions = np.array(list("vwxyz"))
    imported = _npz(tmp_path, image=IMAGE, text=TEXT, image_of_caption=owner, captions=captions)
    order = [1, 3, 2, 0, 4]
    assert imported.split.image_of_caption.tolist() == [0, 0, 1, 2, 2]
    assert imported.split.captions == [captions[i] for i in order]
    np.testing.assert_array_equal(imported.text[0], TEXT[order])


def test_samples_of_a_posterior_are_kept(tmp_path):
    imported = _npz(tmp_path, image=np.stack([IMAGE] * 8), text=np.stack([TEXT[:3]] * 8))
    assert (imported.image.shape, imported.text.shape) == ((8, 3, 4), (8, 3, 4))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"image": IMAGE}, "has arrays image; it needs `image` and `text`"),
        ({"image": IMAGE, "text": TEXT}, "no array `image_of_caption`"),
        ({"image": IMAGE, "text": TEXT[:3, :2]}, "same samples S and width D"),
        ({"image": IMAGE, "text": TEXT, "image_of_caption": np.array([0, 1, 2, 3, 0])}, "an image 0..2"),
        ({"image": IMAGE, "text": TEXT, "image_of_caption": np.array([0, 1, 1, 0, 0])}, "image '2' has no caption"),
        ({"image": np.array([{}], dtype=object), "text": TEXT}, "without pickle"),
        ({"image": IMAGE, "text": TEXT[:3], "filenames": np.array(["x", "x", "z"])}, "more than once"),
    ],
)
def test_wrong_arrays_are_one_clear_error(tmp_path, arrays, message):
    with pytest.raises(OvertopError, match=message):
        _npz(tmp_path, **arrays)


def test_a_truncated_file_is_one_clear_error(tmp_path):
    _npz(tmp_path, image=IMAGE, text=TEXT[:3])
    path = tmp_path / "e.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(OvertopError, match=r"e\.npz"):
        load(tmp_path)


def _clip_retrieval(folder, image, text, metadata):
    for kind, array in (("img_emb", image), ("text_emb", text)):
        (folder / kind).mkdir(parents=True)
        for part, rows in enumerate(np.array_split(array, 2)):
            np.save(folder / kind / f"{kind}_{part}.npy", rows)
    (folder / "metadata").mkdir()
    for part, rows in enumerate(np.array_split(np.arange(len(metadata)), 2)):
        metadata.iloc[rows].to_parquet(folder / "metadata" / f"metadata_{part}.parquet")


def test_the_folders_of_clip_retrieval(tmp_path):
    metadata = pd.DataFrame({"image_path": ["b", "b", "a", "c", "a"], "caption": list("vwxyz")})
    image = IMAGE[[0, 0, 1, 2, 1]]
    _clip_retrieval(tmp_path, image, TEXT, metadata)
    imported = load(tmp_path)
    assert imported.split.image_ids == ["b", "a", "c"]
    np.testing.assert_array_equal(imported.image[0], IMAGE)
    np.testing.assert_array_equal(imported.text[0], TEXT[[0, 1, 2, 4, 3]])
    assert imported.split.captions == list("vwxzy")


def test_folders_of_two_runs_are_refused(tmp_path):
    metadata = pd.DataFrame({"image_path": ["b", "a"], "caption": ["v", "w"]})
    _clip_retrieval(tmp_path, IMAGE, TEXT[:3], metadata)
    with pytest.raises(OvertopError, match="must be of one run"):
        load(tmp_path)


def test_our_own_shards(tmp_path):
    folder = tmp_path
    split = Split(["a", "b"], ["", ""], ["a0", "b0", "b1"], ["x", "y", "z"], np.array([0, 1, 1]))
    write_split(folder / "split.parquet", split)
    write_shard(folder / "image.h5", IMAGE[None, :2], split.image_ids, np.ones(2, bool), {})
    write_shard(folder / "text.h5", TEXT[None, :3], split.caption_ids, np.ones(3, bool), {})
    imported = load(tmp_path)
    np.testing.assert_array_equal(imported.text[0], TEXT[:3])
    write_shard(folder / "text.h5", TEXT[None, :3], ["b0", "a0", "b1"], np.ones(3, bool), {})
    with pytest.raises(OvertopError, match="not those of split.parquet"):
        load(tmp_path)


def test_a_folder_of_something_else(tmp_path):
    with pytest.raises(OvertopError, match="neither one .npz file"):
        load(tmp_path)


def test_fetch_copies_files_and_folders_afresh(tmp_path):
    raw, context = tmp_path / "data" / "raw" / "x" / "test", Context(str(tmp_path), 0, tmp_path / "data", {})
    np.savez(tmp_path / "e.npz", image=IMAGE, text=TEXT[:3])
    spec = EmbeddingsDataset(kind="embeddings", splits={"test": "e.npz"})
    fetch("x", spec, "test", raw, context)
    assert load(raw).split.image_ids == ["0", "1", "2"]
    _clip_retrieval(tmp_path / "cr", IMAGE, TEXT[:3], pd.DataFrame({"image_path": list("abc"), "caption": list("xyz")}))
    spec = EmbeddingsDataset(kind="embeddings", splits={"test": str(tmp_path / "cr")})
    fetch("x", spec, "test", raw, context)
    assert load(raw).split.image_ids == ["a", "b", "c"]
    with pytest.raises(OvertopError, match=r"datasets\.x\.splits has no split 'val'; its splits: test"):
        fetch("x", spec, "val", raw, context)
