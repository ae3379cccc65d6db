from dataclasses import replace

import numpy as np
import pytest

from overtop.errors import OvertopError
from overtop.retrieval.exact import rank
from overtop.retrieval.normalisation import Normalisation
from overtop.retrieval.ranking import ARRAYS, SCHEMA, read_ranking, write_ranking
from overtop.storage.arrays import read_arrays
from overtop.storage.shards import ArraySource


def rank_random(samples, temperatures=()):
    rng = np.random.default_rng(7)
    images, texts = (
        ArraySource(list(rng.normal(size=(samples, n, 4))), [f"{modality}-{i}" for i in range(n)])
        for modality, n in (("image", 6), ("text", 15))
    )
    normalisations = {"t2i": Normalisation(0.01, {"a": np.zeros(6), "b": np.linspace(0, 0.3, 6)})}
    groups = {"i2t": np.repeat(np.arange(5), 3)}
    return rank(images, texts, 4, temperatures=temperatures, groups=groups, normalisations=normalisations)


@pytest.fixture
def rankings():
    return rank_random(2, temperatures=(0.01, 0.07))


def test_softmax_is_over_items_or_over_groups(rankings):
    ranking = rankings["i2t"]
    items, groups = (ranking.softmax_at(0.07, protocol) for protocol in ("published", "corrected"))
    assert (items.classes, groups.classes) == (15, 5)
    for softmax in (items, groups):
        np.testing.assert_array_equal(softmax.log_partition, ranking.log_partition[:, 1])
    np.testing.assert_array_equal(items.neg_log_probability, ranking.log_partition[:, 1])
    np.testing.assert_array_equal(groups.neg_log_probability, ranking.group_log_partition[:, 1])
    np.testing.assert_array_equal(groups.entropy, ranking.group_entropy[:, 1])
    assert (groups.neg_log_probability < items.neg_log_probability).all()
    assert (groups.entropy < items.entropy).all()


def test_softmax_at_another_temperature_is_an_error(rankings):
    with pytest.raises(OvertopError, match=r"temperature 0\.02 \(available: 0\.01, 0\.07\)"):
        rankings["t2i"].softmax_at(0.02, "corrected")


def test_ranking_is_read_as_it_was_written(rankings, tmp_path):
    write_ranking(tmp_path / "a.h5", rankings, {"encoder": "tiny", "skipped": []})
    read, attributes = read_ranking(tmp_path / "a.h5")
    assert attributes == {"encoder": "tiny", "skipped": []}
    for direction, ranking in rankings.items():
        assert read[direction].query_ids == ranking.query_ids
        assert read[direction].gallery_ids == ranking.gallery_ids
        assert read[direction].temperatures == (0.01, 0.07)
        np.testing.assert_array_equal(read[direction].groups, ranking.groups)
        assert list(read[direction].normalised) == list(ranking.normalised) == {"t2i": ["a", "b"], "i2t": []}[direction]
        for name, normalised in ranking.normalised.items():
            for values, expected in zip(read[direction].normalised[name], normalised, strict=True):
                np.testing.assert_array_equal(values, expected)
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(read[direction], name), getattr(ranking, name))
            assert getattr(read[direction], name).dtype == getattr(ranking, name).dtype


def test_ranking_without_temperatures_is_read_as_it_was_written(tmp_path):
    write_ranking(tmp_path / "a.h5", rank_random(1), {})
    ranking = read_ranking(tmp_path / "a.h5")[0]["t2i"]
    assert ranking.temperatures == ()
    assert ranking.log_partition.shape == (15, 0)


def test_same_ranking_is_written_with_the_same_bytes(rankings, tmp_path):
    for name in "ab":
        write_ranking(tmp_path / f"{name}.h5", rankings, {"x": 1})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_truncated_ranking_is_rejected(rankings, tmp_path):
    path = tmp_path / "a.h5"
    write_ranking(path, rankings, {})
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(OvertopError, match=r"a\.h5"):
        read_ranking(path)


def test_bounds_of_a_search_are_read_as_they_were_written(rankings, tmp_path):
    ranking = rankings["t2i"]
    bound = np.random.default_rng(0).random(ranking.log_partition.shape)
    normalised = {
        name: values._replace(truncation_bound=bound[:, 0] + number)
        for number, (name, values) in enumerate(ranking.normalised.items())
    }
    write_ranking(tmp_path / "a.h5", {"t2i": replace(ranking, truncation_bound=bound, normalised=normalised)}, {})
    read = read_ranking(tmp_path / "a.h5")[0]["t2i"]
    np.testing.assert_array_equal(read.truncation_bound, bound)
    for number, name in enumerate(("a", "b")):
        np.testing.assert_array_equal(read.normalised[name].truncation_bound, bound[:, 0] + number)


def test_file_of_an_exact_ranking_has_no_bounds(rankings, tmp_path):
    write_ranking(tmp_path / "a.h5", rankings, {})
    arrays, _ = read_arrays(tmp_path / "a.h5", SCHEMA)
    assert not [name for name in arrays if "bound" in name]
    read = read_ranking(tmp_path / "a.h5")[0]["t2i"]
    assert read.truncation_bound.size == 0
    assert read.normalised["a"].truncation_bound is None
