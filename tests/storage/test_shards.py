import os

import h5py
import numpy as np
import pytest

from overtop.errors import OvertopError
from overtop.storage.arrays import write_arrays
from overtop.storage.shards import (
    SCHEMA,
    ArraySource,
    ShardSource,
    open_posterior,
    read_provenance,
    shard_slice,
    write_shard,
)


def _write_random_shard(path, samples=2, items=7, width=5, seed=0, shard=0, shards=1, first=0, skip=(), **provenance):
    rng = np.random.default_rng([seed, shard])
    embedding = rng.normal(size=(samples, items, width)).astype(np.float32)
    valid = np.ones(items, bool)
    valid[list(skip)] = False
    embedding[:, ~valid] = np.nan
    ids = [f"ü{first + i}" for i in range(items)]
    write_shard(path, embedding, ids, valid, {"encoder": "e", "shard": shard, "shards": shards} | provenance)
    return embedding


def test_shard_slices_cover_every_item_once():
    for n, shards in ((10, 3), (3, 5), (1, 1), (1000, 7)):
        covered = [i for s in range(shards) for i in range(n)[shard_slice(n, s, shards)]]
        assert covered == list(range(n))


def test_shard_after_round_trip_is_equal(tmp_path):
    embedding = _write_random_shard(tmp_path / "s.h5")
    with ShardSource([[tmp_path / "s.h5"]]) as source:
        assert (source.n_samples, source.n_items, source.dims) == (2, 7, (5, 5))
        assert source.item_ids[0] == "ü0"
        for sample in range(2):
            np.testing.assert_array_equal(source.read(sample, 2, 5), embedding[sample, 2:5])


def test_requested_samples_of_several_runs_of_passes_are_the_first_ones(tmp_path):
    first = _write_random_shard(tmp_path / "a.h5", samples=3, sampling="dropout-0.2x3")
    further = _write_random_shard(tmp_path / "b.h5", samples=2, sampling="dropout-0.2x2+3", seed=1)
    expected = np.concatenate([first, further])
    for samples in (1, 3, 4, 5, None):
        with ShardSource([[tmp_path / "a.h5"], [tmp_path / "b.h5"]], samples) as source:
            assert source.n_samples == (samples or 5) == len(source.dims)
            embeddings = [source.read(sample, 0, 7) for sample in range(source.n_samples)]
            np.testing.assert_array_equal(embeddings, expected[:samples])
    with pytest.raises(OvertopError, match=r"b\.h5: has 5 samples with those before it, but 6 are requested"):
        ShardSource([[tmp_path / "a.h5"], [tmp_path / "b.h5"]], 6)


def test_further_passes_of_another_encoder_are_rejected(tmp_path):
    _write_random_shard(tmp_path / "a.h5", sampling="dropout-0.2x2")
    _write_random_shard(tmp_path / "b.h5", sampling="dropout-0.2x2+2", encoder="other")
    with pytest.raises(OvertopError, match="of another encoder"):
        ShardSource([[tmp_path / "a.h5"], [tmp_path / "b.h5"]])


def test_same_inputs_give_same_bytes(tmp_path):
    _write_random_shard(tmp_path / "1.h5")
    os.utime(tmp_path / "1.h5", (0, 0))
    _write_random_shard(tmp_path / "2.h5")
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_source_of_several_shards_and_encoders_equals_concatenation(tmp_path):
    """Two encoders of different width, two shards each, one item skipped in one of the shards."""
    parts = {}
    for encoder, width in (("a", 4), ("b", 6)):
        for shard, (first, items) in enumerate(((0, 3), (3, 5))):
            parts[encoder, shard] = _write_random_shard(
                tmp_path / f"{encoder}{shard}.h5",
                samples=1,
                items=items,
                width=width,
                first=first,
                shard=shard,
                shards=2,
                skip=(1,) if (encoder, shard) == ("b", 1) else (),
                encoder=encoder,
            )
    valid_rows = [0, 1, 2, 3, 5, 6, 7]
    with ShardSource([[tmp_path / f"{e}{s}.h5" for s in (0, 1)] for e in "ab"]) as source:
        assert source.skipped == ["ü4"]
        assert source.dims == (4, 6)
        for sample, encoder in enumerate("ab"):
            whole = np.concatenate([parts[encoder, 0], parts[encoder, 1]], axis=1)[0, valid_rows]
            np.testing.assert_array_equal(source.read(sample, 0, 7), whole)
            for start in range(7):
                for stop in range(start + 1, 8):
                    np.testing.assert_array_equal(source.read(sample, start, stop), whole[start:stop])


def test_empty_shards_among_others_are_read_and_all_empty_ones_refused(tmp_path):
    """Of more slices than items some are empty, and of a split without captions all text shards are."""
    provenance = {"shards": 2, "encoder": "e"}
    empty, one = np.empty((1, 0, 3), np.float32), np.ones((1, 1, 3), np.float32)
    write_shard(tmp_path / "0.h5", empty, [], np.empty(0, bool), provenance | {"shard": 0})
    write_shard(tmp_path / "1.h5", one, ["a"], np.ones(1, bool), provenance | {"shard": 1})
    with ShardSource([[tmp_path / "0.h5", tmp_path / "1.h5"]]) as source:
        assert (source.item_ids, source.dims, source.skipped) == (["a"], (3,), [])
        np.testing.assert_array_equal(source.read(0, 0, 1), one[0])
    write_shard(tmp_path / "1.h5", empty, [], np.empty(0, bool), provenance | {"shard": 1})
    with pytest.raises(OvertopError, match="the split has no such items; name a split with images and captions"):
        ShardSource([[tmp_path / "0.h5", tmp_path / "1.h5"]])


def test_float16_shard_is_read_as_float32(tmp_path):
    write_shard(
        tmp_path / "s.h5", np.ones((1, 2, 3), np.float16), ["a", "b"], np.ones(2, bool), {"shard": 0, "shards": 1}
    )
    with ShardSource([[tmp_path / "s.h5"]]) as source:
        assert source.read(0, 0, 2).dtype == np.float32


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_shard_with_embedding_that_is_not_finite_is_rejected(tmp_path, value):
    embedding = np.ones((1, 3, 2), np.float32)
    embedding[0, 1, 0] = value
    with pytest.raises(OvertopError, match="'b' is not finite"):
        write_shard(tmp_path / "s.h5", embedding, ["a", "b", "c"], np.ones(3, bool), {})
    assert not (tmp_path / "s.h5").exists()


def test_shard_without_valid_items_is_rejected(tmp_path):
    with pytest.raises(OvertopError, match="none of its 2 items"):
        write_shard(tmp_path / "s.h5", np.full((1, 2, 2), np.nan, np.float32), ["a", "b"], np.zeros(2, bool), {})


def test_truncated_shard_is_rejected(tmp_path):
    _write_random_shard(tmp_path / "s.h5", items=600)
    whole = (tmp_path / "s.h5").read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "s.h5").write_bytes(whole[:length])
        with pytest.raises(OvertopError, match=r"s\.h5"):
            ShardSource([[tmp_path / "s.h5"]])


def test_altered_shard_is_rejected(tmp_path):
    for what in ("embedding", "valid", "item_id"):
        _write_random_shard(tmp_path / "s.h5")
        with h5py.File(tmp_path / "s.h5", "r+") as file:
            file[what][...] = np.roll(file[what][...], 1)
            if what == "valid":
                file[what][0] = False
        with pytest.raises(OvertopError, match="differs from its digest"):
            read_provenance(tmp_path / "s.h5")


def test_hdf5_file_of_another_program_is_rejected(tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(OvertopError, match="has no digest, so it is damaged or not written by this version"):
        read_provenance(tmp_path / "s.h5")


def test_shards_of_different_runs_are_rejected(tmp_path):
    _write_random_shard(tmp_path / "0.h5", shard=0, shards=2, checkpoint="old")
    _write_random_shard(tmp_path / "1.h5", shard=1, shards=2, checkpoint="new")
    with pytest.raises(OvertopError, match="checkpoint.*'new'.*'old'"):
        ShardSource([[tmp_path / "0.h5", tmp_path / "1.h5"]])


def test_shards_out_of_order_or_incomplete_are_rejected(tmp_path):
    for shard in (0, 1):
        _write_random_shard(tmp_path / f"{shard}.h5", shard=shard, shards=2)
    with pytest.raises(OvertopError, match="not shard 0 of 2"):
        ShardSource([[tmp_path / "1.h5", tmp_path / "0.h5"]])
    with pytest.raises(OvertopError, match="not shard 0 of 1"):
        ShardSource([[tmp_path / "0.h5"]])


def test_ensemble_members_with_different_items_are_rejected(tmp_path):
    _write_random_shard(tmp_path / "a.h5")
    _write_random_shard(tmp_path / "b.h5", first=1)
    with pytest.raises(OvertopError, match="other items"):
        ShardSource([[tmp_path / "a.h5"], [tmp_path / "b.h5"]])


def test_array_source_reads_float32_slices():
    source = ArraySource([np.eye(3), np.ones((3, 2))])
    assert (source.n_samples, source.n_items, source.dims, source.item_ids) == (2, 3, (3, 2), ["0", "1", "2"])
    assert source.read(1, 0, 2).dtype == np.float32


def test_posterior_of_images_and_captions_is_opened_by_folder(tmp_path):
    paths = {}
    for modality, items in (("image", 3), ("text", 4)):
        paths[modality] = [tmp_path / encoder / f"{modality}.h5" for encoder in "ab"]
        for seed, path in enumerate(paths[modality]):
            _write_random_shard(path, samples=1, items=items, seed=seed, encoder=path.parent.name, sampling="x")
    with open_posterior(paths["image"], paths["text"]) as (images, texts):
        assert (images.n_samples, images.n_items, texts.n_samples, texts.n_items) == (2, 3, 2, 4)
    with open_posterior(paths["image"], paths["text"], samples=1) as (images, texts):
        assert (images.n_samples, texts.n_samples) == (1, 1)


def test_error_names_the_shards_of_the_encoder_that_differs(tmp_path):
    paths = {}
    for modality in ("image", "text"):
        paths[modality] = [tmp_path / encoder / f"{modality}.h5" for encoder in "ab"]
        for path in paths[modality]:
            encoder = "other" if modality == "text" and path.parent.name == "b" else path.parent.name
            _write_random_shard(path, samples=1, encoder=encoder, sampling="x")
    with (
        pytest.raises(
            OvertopError, match=r"/b/image\.h5 and .*/b/text\.h5: images and captions differ in their encoder"
        ),
        open_posterior(paths["image"], paths["text"]),
    ):
        pass


@pytest.mark.parametrize("key", ["encoder", "sampling"])
def test_images_and_captions_of_different_runs_are_rejected(tmp_path, key):
    _write_random_shard(tmp_path / "image.h5", sampling="x")
    _write_random_shard(tmp_path / "text.h5", **{"sampling": "x", key: "other"})
    with (
        pytest.raises(OvertopError, match=f"images and captions differ in their {key}"),
        open_posterior([tmp_path / "image.h5"], [tmp_path / "text.h5"]),
    ):
        pass


@pytest.mark.parametrize(
    "change",
    [
        {"item_id": np.arange(2)},
        {"item_id": np.array([b"\xff", b"b"])},
        {"item_id": np.array([b"a"])},
        {"valid": np.ones(2)},
        {"embedding": np.ones((2, 3), np.float32)},
        {"embedding": np.ones((1, 2, 3), np.complex64)},
    ],
)
def test_shard_of_another_program_with_other_arrays_is_one_line_error(tmp_path, change):
    arrays = {"embedding": np.ones((1, 2, 3), np.float32), "item_id": np.array([b"a", b"b"]), "valid": np.ones(2, bool)}
    write_arrays(tmp_path / "image.h5", SCHEMA, {**arrays, **change}, {"shard": 0, "shards": 1})
    with pytest.raises(OvertopError, match=r"image\.h5:? ") as caught:
        ShardSource([[tmp_path / "image.h5"]])
    assert "\n" not in str(caught.value)
