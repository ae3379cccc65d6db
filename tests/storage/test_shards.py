import os

import h5py
import numpy as np
import pytest

from overtop.errors import OvertopError
from overtop.storage.shards import ArraySource, ShardSource, read_provenance, shard_slice, write_shard


def _write(path, samples=2, items=7, width=5, seed=0, shard=0, shards=1, first=0, skip=(), **facts):
    rng = np.random.default_rng([seed, shard])
    embedding = rng.normal(size=(samples, items, width)).astype(np.float32)
    valid = np.ones(items, bool)
    valid[list(skip)] = False
    embedding[:, ~valid] = np.nan
    ids = [f"ü{first + i}" for i in range(items)]
    write_shard(path, embedding, ids, valid, {"encoder": "e", "shard": shard, "shards": shards} | facts)
    return embedding


def test_slices_cover_everything_once():
    for n, shards in ((10, 3), (3, 5), (1, 1), (1000, 7)):
        covered = [i for s in range(shards) for i in range(n)[shard_slice(n, s, shards)]]
        assert covered == list(range(n))


def test_a_shard_reads_back_as_written(tmp_path):
    embedding = _write(tmp_path / "s.h5")
    with ShardSource([[tmp_path / "s.h5"]]) as source:
        assert (source.n_samples, source.n_items, source.dims) == (2, 7, (5, 5))
        assert source.item_ids[0] == "ü0"
        for sample in range(2):
            np.testing.assert_array_equal(source.read(sample, 2, 5), embedding[sample, 2:5])


def test_the_first_samples_of_several_runs_of_passes(tmp_path):
    first = _write(tmp_path / "a.h5", samples=3, sampling="dropout-0.2x3")
    further = _write(tmp_path / "b.h5", samples=2, sampling="dropout-0.2x2+3", seed=1)
    expected = np.concatenate([first, further])
    for samples in (1, 3, 4, 5, None):
        with ShardSource([[tmp_path / "a.h5"], [tmp_path / "b.h5"]], samples) as source:
            assert source.n_samples == (samples or 5) == len(source.dims)
            found = [source.read(sample, 0, 7) for sample in range(source.n_samples)]
            np.testing.assert_array_equal(found, expected[:samples])
    with pytest.raises(OvertopError, match="holds 5 samples, 6 are asked for"):
        ShardSource([[tmp_path / "a.h5"], [tmp_path / "b.h5"]], 6)


def test_further_passes_of_another_encoder_are_refused(tmp_path):
    _write(tmp_path / "a.h5", sampling="dropout-0.2x2")
    _write(tmp_path / "b.h5", sampling="dropout-0.2x2+2", encoder="other")
    with pytest.raises(OvertopError, match="of another encoder"):
        ShardSource([[tmp_path / "a.h5"], [tmp_path / "b.h5"]])


def test_the_same_inputs_give_the_same_bytes(tmp_path):
    _write(tmp_path / "1.h5")
    os.utime(tmp_path / "1.h5", (0, 0))
    _write(tmp_path / "2.h5")
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_shards_encoders_and_skipped_items_join_into_one_source(tmp_path):
    """Against plain concatenation: two encoders of different width, two shards each, items skipped in one of them."""
    parts = {}
    for encoder, width in (("a", 4), ("b", 6)):
        for shard, (first, items) in enumerate(((0, 3), (3, 5))):
            parts[encoder, shard] = _write(
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
    keep = [0, 1, 2, 3, 5, 6, 7]
    with ShardSource([[tmp_path / f"{e}{s}.h5" for s in (0, 1)] for e in "ab"]) as source:
        assert source.skipped == ["ü4"]
        assert source.dims == (4, 6)
        for sample, encoder in enumerate("ab"):
            whole = np.concatenate([parts[encoder, 0], parts[encoder, 1]], axis=1)[0, keep]
            np.testing.assert_array_equal(source.read(sample, 0, 7), whole)
            for start in range(7):
                for stop in range(start + 1, 8):
                    np.testing.assert_array_equal(source.read(sample, start, stop), whole[start:stop])


def test_half_precision_is_read_as_single(tmp_path):
    write_shard(
        tmp_path / "s.h5", np.ones((1, 2, 3), np.float16), ["a", "b"], np.ones(2, bool), {"shard": 0, "shards": 1}
    )
    with ShardSource([[tmp_path / "s.h5"]]) as source:
        assert source.read(0, 0, 2).dtype == np.float32


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_embedding_that_is_not_finite_is_named(tmp_path, value):
    embedding = np.ones((1, 3, 2), np.float32)
    embedding[0, 1, 0] = value
    with pytest.raises(OvertopError, match="'b' is not finite"):
        write_shard(tmp_path / "s.h5", embedding, ["a", "b", "c"], np.ones(3, bool), {})
    assert not (tmp_path / "s.h5").exists()


def test_a_shard_with_nothing_in_it_is_refused(tmp_path):
    with pytest.raises(OvertopError, match="none of its 2 items"):
        write_shard(tmp_path / "s.h5", np.full((1, 2, 2), np.nan, np.float32), ["a", "b"], np.zeros(2, bool), {})


def test_a_truncated_shard_is_refused(tmp_path):
    _write(tmp_path / "s.h5", items=600)
    whole = (tmp_path / "s.h5").read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "s.h5").write_bytes(whole[:length])
        with pytest.raises(OvertopError, match=r"s\.h5"):
            ShardSource([[tmp_path / "s.h5"]])


def test_an_altered_shard_is_refused(tmp_path):
    for what in ("embedding", "valid", "item_id"):
        _write(tmp_path / "s.h5")
        with h5py.File(tmp_path / "s.h5", "r+") as file:
            file[what][...] = np.roll(file[what][...], 1)
            if what == "valid":
                file[what][0] = False
        with pytest.raises(OvertopError, match="differs from its digest"):
            read_provenance(tmp_path / "s.h5")


def test_a_file_that_is_no_shard_is_refused(tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(OvertopError, match="not written by overtop"):
        read_provenance(tmp_path / "s.h5")


def test_a_mixture_of_runs_is_refused(tmp_path):
    _write(tmp_path / "0.h5", shard=0, shards=2, checkpoint="old")
    _write(tmp_path / "1.h5", shard=1, shards=2, checkpoint="new")
    with pytest.raises(OvertopError, match="checkpoint.*'new'.*'old'"):
        ShardSource([[tmp_path / "0.h5", tmp_path / "1.h5"]])


def test_shards_out_of_order_or_missing_are_refused(tmp_path):
    for shard in (0, 1):
        _write(tmp_path / f"{shard}.h5", shard=shard, shards=2)
    with pytest.raises(OvertopError, match="not shard 0 of 2"):
        ShardSource([[tmp_path / "1.h5", tmp_path / "0.h5"]])
    with pytest.raises(OvertopError, match="not shard 0 of 1"):
        ShardSource([[tmp_path / "0.h5"]])


def test_members_with_other_items_are_refused(tmp_path):
    _write(tmp_path / "a.h5")
    _write(tmp_path / "b.h5", first=1)
    with pytest.raises(OvertopError, match="other items"):
        ShardSource([[tmp_path / "a.h5"], [tmp_path / "b.h5"]])


def test_arrays_in_memory_are_a_source_too():
    source = ArraySource([np.eye(3), np.ones((3, 2))])
    assert (source.n_samples, source.n_items, source.dims, source.item_ids) == (2, 3, (3, 2), ["0", "1", "2"])
    assert source.read(1, 0, 2).dtype == np.float32
