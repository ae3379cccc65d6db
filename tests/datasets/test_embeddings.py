import logging

import numpy as np
import pandas as pd
import pytest

from overtop.config.datasets import EmbeddingsDataset
from overtop.datasets.embeddings import fetch, load_embeddings
from overtop.datasets.imported import write_imported_shards
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import fetch_split, read_raw_split
from overtop.errors import OvertopError
from overtop.storage.shards import ShardSource, write_shard
from overtop.storage.split import Split, write_split

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(3, 4)).astype(np.float32)
TEXT = RNG.normal(size=(5, 4)).astype(np.float32)


def _load_npz(tmp_path, **arrays):
    np.savez(tmp_path / "e.npz", **arrays)
    return load_embeddings(tmp_path)


def test_rows_without_image_of_caption_are_paired_by_position(tmp_path):
    imported = _load_npz(tmp_path, image=IMAGE, text=TEXT[:3], filenames=np.array(["x", "y", "z"]))
    assert imported.split.image_ids == ["x", "y", "z"]
    assert imported.image.shape == (1, 3, 4)
    np.testing.assert_array_equal(imported.text[0], TEXT[:3])


def test_captions_and_embeddings_are_ordered_by_image(tmp_path):
    image_of_caption = np.array([2, 0, 1, 0, 2])
    captions = np.array(list("vwxyz"))
    imported = _load_npz(tmp_path, image=IMAGE, text=TEXT, image_of_caption=image_of_caption, captions=captions)
    order = [1, 3, 2, 0, 4]
    assert imported.split.image_of_caption.tolist() == [0, 0, 1, 2, 2]
    assert imported.split.captions == [captions[i] for i in order]
    np.testing.assert_array_equal(imported.text[0], TEXT[order])


def test_all_samples_of_a_posterior_are_loaded(tmp_path):
    imported = _load_npz(tmp_path, image=np.stack([IMAGE] * 8), text=np.stack([TEXT[:3]] * 8))
    assert (imported.image.shape, imported.text.shape) == ((8, 3, 4), (8, 3, 4))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"image": IMAGE}, "has arrays image; it needs `image` and `text`"),
        ({"image": IMAGE, "text": TEXT}, "no array `image_of_caption`; add it: for each caption the row of its image"),
        ({"image": IMAGE[0], "text": TEXT}, r"array `image` has shape \(4,\)"),
        ({"image": IMAGE, "text": TEXT[0]}, r"array `text` has shape \(4,\)"),
        ({"image": IMAGE.astype(str), "text": TEXT[:3]}, "array `image` has dtype <U32; save real numbers"),
        ({"image": IMAGE, "text": TEXT[:3, :2]}, "same number of samples S and width D"),
        ({"image": IMAGE, "text": TEXT, "image_of_caption": np.array([0, 1, 2, 3, 0])}, "caption 3 image 3; .* 0..2"),
        ({"image": IMAGE, "text": TEXT, "image_of_caption": np.array([0, 1, 2, -2, 0])}, "gives caption 3 image -2"),
        ({"image": IMAGE, "text": TEXT, "image_of_caption": np.zeros(4, int)}, r"has shape \(4,\); .* of 5 captions"),
        ({"image": IMAGE, "text": TEXT, "image_of_caption": np.zeros(5)}, "has dtype float64; save integers"),
        ({"image": IMAGE, "text": TEXT[:3], "filenames": np.array(["x", "y"])}, "`filenames` .* the 3 rows of `image`"),
        ({"image": IMAGE, "text": TEXT[:3], "captions": np.array(["x", "y"])}, "`captions` .* the 3 rows of `text`"),
        ({"image": IMAGE, "text": TEXT[:3], "captions": np.array(["x", " ", "y"])}, "an empty text in row 1"),
        ({"image": np.array([{}], dtype=object), "text": TEXT}, "`image` cannot be read without pickle"),
        (
            {"image": IMAGE, "text": TEXT[:3], "filenames": np.array(["x", "x", "z"])},
            "array `image`: rows 0 and 1 are both called 'x' and differ; give each image its own name",
        ),
        ({"image": IMAGE, "text": TEXT[:3], "filenames": np.array(["x", "", "z"])}, "an empty text in row 1"),
    ],
)
def test_invalid_arrays_are_one_line_error(tmp_path, arrays, message):
    with pytest.raises(OvertopError, match=rf"e\.npz: .*{message}|{tmp_path}: .*{message}") as caught:
        _load_npz(tmp_path, **arrays)
    assert "\n" not in str(caught.value)


def test_captions_of_unknown_images_and_images_without_captions_are_kept(tmp_path):
    owners, captions = np.array([-1, 2, -1, 0, 2]), np.array(list("vwxyz"))
    imported = _load_npz(tmp_path, image=IMAGE, text=TEXT, image_of_caption=owners, captions=captions)
    split = imported.split
    assert split.image_ids == ["0", "1", "2"]
    assert split.caption_ids == ["0#0", "2#0", "2#1", "#0", "#1"]
    assert (split.image_of_caption.tolist(), split.captions) == ([0, 2, 2, -1, -1], list("ywzvx"))
    np.testing.assert_array_equal(imported.image[0], IMAGE)
    np.testing.assert_array_equal(imported.text[0], TEXT[[3, 1, 4, 0, 2]])


def test_numbers_of_unpaired_items_are_logged(tmp_path, caplog):
    raw = tmp_path / "raw" / "x" / "test"
    raw.mkdir(parents=True)
    np.savez(raw / "e.npz", image=IMAGE, text=TEXT, image_of_caption=np.array([0, 0, -1, -1, -1]))
    spec = EmbeddingsDataset(kind="embeddings", splits={"test": "e.npz"})
    with caplog.at_level(logging.INFO):
        read_raw_split("x", spec, raw, tmp_path, "test")
    assert "2 of 3 images have no caption, and the image of 3 of 5 captions is unknown" in caplog.text


def test_embeddings_without_any_known_pair_are_loaded(tmp_path):
    imported = _load_npz(tmp_path, image=IMAGE, text=TEXT, image_of_caption=np.full(5, -1))
    assert not imported.split.has_caption.any()
    np.testing.assert_array_equal(imported.text[0], TEXT)


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_damaged_npz_file_is_one_line_error(tmp_path, content):
    _load_npz(tmp_path, image=IMAGE, text=TEXT[:3])
    path = tmp_path / "e.npz"
    path.write_bytes(path.read_bytes()[:100] if content is None else content)
    with pytest.raises(OvertopError, match=r"e\.npz: is damaged or no \.npz file"):
        load_embeddings(tmp_path)


def test_npz_file_with_a_changed_byte_is_one_line_error(tmp_path):
    _load_npz(tmp_path, image=IMAGE, text=TEXT[:3])
    path = tmp_path / "e.npz"
    content = bytearray(path.read_bytes())
    content[content.index(IMAGE.tobytes()) + 5] ^= 255
    path.write_bytes(content)
    with pytest.raises(OvertopError, match=r"e\.npz: array `image` is damaged"):
        load_embeddings(tmp_path)


def test_imported_embeddings_are_written_as_one_shard_per_modality(tmp_path):
    imported = _load_npz(tmp_path, image=IMAGE.astype(np.float64), text=TEXT[:3])
    paths = {"image": tmp_path / "image.h5", "text": tmp_path / "text.h5"}
    write_imported_shards(imported, paths, dataset="x", split="test", on_error="fail")
    for modality, expected in (("image", IMAGE), ("text", TEXT[:3])):
        with ShardSource([[paths[modality]]]) as source:
            np.testing.assert_array_equal(source.read(0, 0, 3), expected)
            assert source.provenance[0]["modality"] == modality
            assert source.provenance[0]["encoder"] == {"name": "imported"}


@pytest.mark.parametrize("values", [[1, 1, np.nan, 1], [np.inf, 0, 0, 0], [0, 0, 0, 0], [1e300, 0, 0, 0]])
def test_imported_embedding_without_a_direction_is_rejected_or_skipped(tmp_path, values):
    image = IMAGE.astype(np.float64)
    image[1] = values
    imported = _load_npz(tmp_path, image=image, text=TEXT[:3])
    paths = {"image": tmp_path / "image.h5", "text": tmp_path / "text.h5"}
    message = (
        r"e\.npz: array `image`, row 1: the embedding of image '1' is zero or not finite \(1 such items\); .* skip$"
    )
    with pytest.raises(OvertopError, match=message):
        write_imported_shards(imported, paths, dataset="x", split="test", on_error="fail")
    write_imported_shards(imported, paths, dataset="x", split="test", on_error="skip")
    with ShardSource([[paths["image"]]]) as source:
        assert (source.item_ids, source.skipped) == (["0", "2"], ["1"])


def _write_clip_retrieval(folder, image, text, metadata):
    for kind, array in (("img_emb", image), ("text_emb", text)):
        (folder / kind).mkdir(parents=True)
        for part, rows in enumerate(np.array_split(array, 2)):
            np.save(folder / kind / f"{kind}_{part}.npy", rows)
    (folder / "metadata").mkdir()
    for part, rows in enumerate(np.array_split(np.arange(len(metadata)), 2)):
        metadata.iloc[rows].to_parquet(folder / "metadata" / f"metadata_{part}.parquet")


def test_clip_retrieval_folder_is_loaded(tmp_path):
    metadata = pd.DataFrame({"image_path": ["b", "b", "a", "c", "a"], "caption": list("vwxyz")})
    image = IMAGE[[0, 0, 1, 2, 1]]
    _write_clip_retrieval(tmp_path, image, TEXT, metadata)
    imported = load_embeddings(tmp_path)
    assert imported.split.image_ids == ["b", "a", "c"]
    np.testing.assert_array_equal(imported.image[0], IMAGE)
    np.testing.assert_array_equal(imported.text[0], TEXT[[0, 1, 2, 4, 3]])
    assert imported.split.captions == list("vwxzy")


def test_repeated_images_are_one_image_with_all_captions(tmp_path):
    """Rows of a caption each, as some tools write them; the embeddings of an image differ by rounding."""
    names, image = np.array(["b", "a", "b", "c"]), IMAGE[[0, 1, 0, 2]]
    image[2] *= 1 + 1e-5
    imported = _load_npz(tmp_path, image=image, text=TEXT[:4], filenames=names)
    assert imported.split.image_ids == ["b", "a", "c"]
    assert imported.split.image_of_caption.tolist() == [0, 0, 1, 2]
    np.testing.assert_array_equal(imported.image[0], IMAGE)
    np.testing.assert_array_equal(imported.text[0], TEXT[[0, 2, 1, 3]])
    owners = np.array([3, 2, -1, 0, 1])
    imported = _load_npz(tmp_path, image=image, text=TEXT, filenames=names, image_of_caption=owners)
    assert imported.split.caption_ids == ["b#0", "b#1", "a#0", "c#0", "#0"]


def test_row_of_a_caption_in_the_file_is_named(tmp_path):
    text = TEXT.copy()
    text[3] = 0
    imported = _load_npz(tmp_path, image=IMAGE, text=text, image_of_caption=np.array([2, 1, 1, 0, 0]))
    paths = {"image": tmp_path / "image.h5", "text": tmp_path / "text.h5"}
    with pytest.raises(OvertopError, match="array `text`, row 3: the embedding of text '0#0' is zero or not finite"):
        write_imported_shards(imported, paths, dataset="x", split="test", on_error="fail")


def test_whole_numbers_are_warned_of(tmp_path, caplog):
    _load_npz(tmp_path, image=(IMAGE * 50).astype(np.int8), text=TEXT[:3])
    assert "array `image` has whole numbers (int8): right only if" in caplog.text
    assert "`text`" not in caplog.text


def _write_parquet(tmp_path, **columns):
    as_lists = {name: list(values) if isinstance(values, np.ndarray) else values for name, values in columns.items()}
    pd.DataFrame(as_lists).to_parquet(tmp_path / "e.parquet")


def test_parquet_file_with_lists_is_loaded(tmp_path):
    images = [IMAGE[0], IMAGE[1], None, IMAGE[0], IMAGE[2]]
    texts = [*TEXT[:4], None]
    _write_parquet(
        tmp_path,
        image_embedding=images,
        text_embedding=texts,
        image_path=["b", "a", None, "b", "c"],
        caption=list("vwxyz"),
    )
    imported = load_embeddings(tmp_path)
    split = imported.split
    assert (split.image_ids, split.captions) == (["b", "a", "c"], list("vywx"))
    assert split.image_of_caption.tolist() == [0, 0, 1, -1]
    np.testing.assert_array_equal(imported.image[0], IMAGE)
    np.testing.assert_array_equal(imported.text[0], TEXT[[0, 3, 1, 2]])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image_embedding": IMAGE}, "no column 'text_embedding'; its columns are 'image_embedding'; it needs"),
        ({"image_embedding": IMAGE, "text_embedding": list("abc")}, "'text_embedding' has values of type large_string"),
        (
            {"image_embedding": IMAGE, "text_embedding": [TEXT[0], TEXT[1, :2], TEXT[2]]},
            "column 'text_embedding' has lists of different lengths",
        ),
        ({"image_embedding": IMAGE, "text_embedding": [None] * 3}, "'text_embedding' has "),
        ({"image_embedding": IMAGE, "text_embedding": TEXT[:3], "image": ["a", "", "b"]}, "'image' is empty in row 1"),
    ],
)
def test_invalid_parquet_file_is_one_line_error(tmp_path, columns, message):
    _write_parquet(tmp_path, **columns)
    with pytest.raises(OvertopError, match=rf"e\.parquet: .*{message}"):
        load_embeddings(tmp_path)


def test_mistake_names_the_own_file_and_not_its_copy(tmp_path):
    raw, context = tmp_path / "data" / "raw" / "x" / "test", FetchContext(str(tmp_path), 0, tmp_path / "data", {})
    np.savez(tmp_path / "e.npz", image=IMAGE, text=TEXT)
    spec = EmbeddingsDataset(kind="embeddings", splits={"test": "e.npz"})
    fetch_split("x", spec, "test", raw, context)
    with pytest.raises(OvertopError, match=rf"split 'test': {tmp_path}/e\.npz: 3 images, 5 captions and no array"):
        read_raw_split("x", spec, raw, tmp_path / "data", "test")


def test_missing_file_is_named_with_its_key(tmp_path):
    context = FetchContext(None, 0, tmp_path / "data", {})
    spec = EmbeddingsDataset(kind="embeddings", splits={"test": str(tmp_path / "gone.npz")})
    with pytest.raises(OvertopError, match=r"^datasets\.x\.splits\.test: .*/gone\.npz does not exist; correct"):
        fetch("x", spec, "test", tmp_path / "data" / "raw" / "x" / "test", context)


def test_one_image_is_warned_of(tmp_path, caplog):
    raw = tmp_path / "raw" / "x" / "test"
    raw.mkdir(parents=True)
    np.savez(raw / "e.npz", image=IMAGE[:1], text=TEXT, image_of_caption=np.zeros(5, int))
    read_raw_split("x", EmbeddingsDataset(kind="embeddings", splits={"test": "e.npz"}), raw, tmp_path, "test")
    assert "data set 'x', split 'test': has one image, which is the top hit of every query" in caplog.text


def test_clip_retrieval_folder_of_two_runs_is_rejected(tmp_path):
    metadata = pd.DataFrame({"image_path": ["b", "a"], "caption": ["v", "w"]})
    _write_clip_retrieval(tmp_path, IMAGE, TEXT[:3], metadata)
    with pytest.raises(OvertopError, match="must come from one run"):
        load_embeddings(tmp_path)


def test_shards_of_this_format_are_loaded(tmp_path):
    split = Split(["a", "b"], ["", ""], ["a0", "b0", "b1"], ["x", "y", "z"], np.array([0, 1, 1]))
    write_split(tmp_path / "split.parquet", split)
    write_shard(tmp_path / "image.h5", IMAGE[None, :2], split.image_ids, np.ones(2, bool), {})
    write_shard(tmp_path / "text.h5", TEXT[None, :3], split.caption_ids, np.ones(3, bool), {})
    imported = load_embeddings(tmp_path)
    np.testing.assert_array_equal(imported.text[0], TEXT[:3])
    write_shard(tmp_path / "text.h5", TEXT[None, :3], ["b0", "a0", "b1"], np.ones(3, bool), {})
    with pytest.raises(OvertopError, match="not those of split.parquet"):
        load_embeddings(tmp_path)


def test_folder_of_unknown_format_is_rejected(tmp_path):
    with pytest.raises(OvertopError, match="neither one .npz or .parquet file"):
        load_embeddings(tmp_path)


def test_fetch_replaces_files_of_previous_source(tmp_path):
    raw, context = tmp_path / "data" / "raw" / "x" / "test", FetchContext(str(tmp_path), 0, tmp_path / "data", {})
    np.savez(tmp_path / "e.npz", image=IMAGE, text=TEXT[:3])
    spec = EmbeddingsDataset(kind="embeddings", splits={"test": "e.npz"})
    fetch("x", spec, "test", raw, context)
    assert load_embeddings(raw).split.image_ids == ["0", "1", "2"]
    _write_clip_retrieval(
        tmp_path / "cr", IMAGE, TEXT[:3], pd.DataFrame({"image_path": list("abc"), "caption": list("xyz")})
    )
    spec = EmbeddingsDataset(kind="embeddings", splits={"test": str(tmp_path / "cr")})
    fetch("x", spec, "test", raw, context)
    assert load_embeddings(raw).split.image_ids == ["a", "b", "c"]
    with pytest.raises(OvertopError, match=r"datasets\.x\.splits has no split 'val'; its splits: test"):
        fetch("x", spec, "val", raw, context)


def test_item_that_is_not_valid_in_an_imported_shard_is_not_evaluated(tmp_path):
    split = Split(["a", "b"], ["", ""], ["a0", "b0"], ["x", "y"], np.array([0, 1]))
    write_split(tmp_path / "split.parquet", split)
    write_shard(tmp_path / "image.h5", IMAGE[None, :2], split.image_ids, np.array([True, False]), {})
    write_shard(tmp_path / "text.h5", TEXT[None, :2], split.caption_ids, np.ones(2, bool), {})
    imported = load_embeddings(tmp_path)
    assert np.isfinite(imported.image[0]).all(axis=1).tolist() == [True, False]


@pytest.mark.parametrize("kind", ["c8", "m8[s]"])
def test_parts_without_real_numbers_are_rejected(tmp_path, kind):
    metadata = pd.DataFrame({"image_path": ["b", "a", "c"], "caption": ["v", "w", "x"]})
    _write_clip_retrieval(tmp_path, IMAGE, np.zeros((3, 4), kind), metadata)
    with pytest.raises(OvertopError, match=r"text_emb_0\.npy has dtype .*; save real numbers"):
        load_embeddings(tmp_path)


def test_damaged_metadata_are_named(tmp_path):
    metadata = pd.DataFrame({"image_path": ["b", "a", "c"], "caption": ["v", "w", "x"]})
    _write_clip_retrieval(tmp_path, IMAGE, TEXT[:3], metadata)
    (tmp_path / "metadata" / "metadata_1.parquet").write_bytes(b"PAR1")
    with pytest.raises(OvertopError, match=r"metadata_1\.parquet: cannot be read as a table"):
        load_embeddings(tmp_path)
