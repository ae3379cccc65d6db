import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import oracles
from overtop.errors import OvertopError
from overtop.ranking import rank, read_ranking, stable_topk, write_ranking
from overtop.store import ArraySource

FIELDS = ("top_ids", "top_scores", "sample_top")


def on_a_grid(rng, samples, items, dim=8):
    """Embeddings of length two with four entries of +-1: their cosines are multiples of 1/4, exact and often equal."""
    embeddings = np.zeros((samples, items, dim), dtype=np.float32)
    for sample in embeddings:
        for row in sample:
            row[rng.choice(dim, 4, replace=False)] = rng.choice([-1, 1], 4)
    return embeddings


def sources(images, texts):
    return (
        ArraySource(list(images), [f"image-{i}" for i in range(len(images[0]))]),
        ArraySource(list(texts), [f"text-{i}" for i in range(len(texts[0]))]),
    )


def check(images, texts, top, vote_top, block):
    found = rank(*sources(images, texts), top=top, vote_top=vote_top, device="cpu", block=block)
    for direction, queries, gallery in (("t2i", texts, images), ("i2t", images, texts)):
        expected = oracles.full_ranking(queries, gallery, top, vote_top)
        ranking = found[direction]
        np.testing.assert_array_equal(ranking.top_ids, expected[0])
        np.testing.assert_allclose(ranking.top_scores, expected[1], atol=1e-6)
        np.testing.assert_array_equal(ranking.sample_top, expected[2])
        assert [getattr(ranking, name).dtype for name in FIELDS] == [np.int32, np.float32, np.int32]
        assert ranking.n_samples == len(images)


@pytest.mark.parametrize("block", [1, 7, 16, 1000])
@pytest.mark.parametrize(("samples", "items", "captions"), [(1, 13, 40), (4, 13, 40), (2, 50, 21)])
def test_ties_go_to_the_smaller_index(samples, items, captions, block):
    rng = np.random.default_rng(samples * items)
    images, texts = on_a_grid(rng, samples, items), on_a_grid(rng, samples, captions)
    check(images, texts, top=6, vote_top=5, block=block)


def test_all_items_alike():
    images, texts = np.ones((2, 9, 4), np.float32), np.ones((2, 30, 4), np.float32)
    check(images, texts, top=4, vote_top=3, block=8)


@pytest.mark.parametrize("block", [5, 64])
def test_real_valued(block):
    rng = np.random.default_rng(0)
    check(rng.normal(size=(3, 20, 32)), rng.normal(size=(3, 64, 32)), top=20, vote_top=5, block=block)


def test_members_of_different_dimensions():
    rng = np.random.default_rng(1)
    images = [rng.normal(size=(11, dim)) for dim in (8, 16, 5)]
    texts = [rng.normal(size=(23, dim)) for dim in (8, 16, 5)]
    check(images, texts, top=5, vote_top=2, block=10)


@pytest.mark.parametrize(("items", "captions"), [(1, 1), (1, 12), (12, 1)])
def test_galleries_of_one(items, captions):
    rng = np.random.default_rng(2)
    images, texts = rng.normal(size=(2, items, 6)), rng.normal(size=(2, captions, 6))
    check(images, texts, top=10, vote_top=5, block=4)


def test_length_of_an_embedding_does_not_matter():
    rng = np.random.default_rng(3)
    images, texts = on_a_grid(rng, 2, 10), on_a_grid(rng, 2, 30)
    plain = rank(*sources(images, texts), top=5, device="cpu")
    scaled = rank(*sources(images * 2.0**7, texts * 2.0**-9), top=5, device="cpu")
    for direction in plain:
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(plain[direction], name), getattr(scaled[direction], name))


class _Counting(ArraySource):
    """Remembers the largest slice that was asked for."""

    largest = 0

    def read(self, sample, start, stop):
        self.largest = max(self.largest, stop - start)
        return super().read(sample, start, stop)


def test_captions_are_streamed_and_progress_is_told():
    rng = np.random.default_rng(4)
    texts = _Counting(list(rng.normal(size=(2, 25, 4))))
    told = []
    rank(ArraySource(list(rng.normal(size=(2, 3, 4)))), texts, 3, block=10, progress=lambda *at: told.append(at))
    assert texts.largest == 10
    assert told == [(10, 25), (20, 25), (25, 25)]


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("modality", ["image", "text"])
def test_broken_embedding_is_named(value, modality):
    rng = np.random.default_rng(5)
    arrays = {"image": rng.normal(size=(2, 6, 4)), "text": rng.normal(size=(2, 9, 4))}
    arrays[modality][1, 4] = value
    with pytest.raises(OvertopError, match=rf"'{modality}-4' in sample 1 .*\(1 such"):
        rank(*sources(arrays["image"], arrays["text"]), top=3, block=3)


def test_sources_that_do_not_fit():
    rng = np.random.default_rng(6)
    with pytest.raises(OvertopError, match=r"\(4, 4\).*\(4,\)"):
        rank(*sources(rng.normal(size=(2, 6, 4)), rng.normal(size=(1, 6, 4))), top=3)
    with pytest.raises(OvertopError, match="no texts"):
        rank(*sources(rng.normal(size=(1, 6, 4)), np.empty((1, 0, 4))), top=3)


@pytest.mark.parametrize("k", [1, 3, 7, 8, 20])
def test_stable_topk(k):
    matrix = np.random.default_rng(k).integers(0, 4, size=(50, 8)).astype(np.float32)
    values, indices = stable_topk(torch.from_numpy(matrix), k)
    expected = np.array([oracles.order(row)[:k] for row in matrix])
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(matrix, expected, axis=1))


@pytest.fixture
def rankings():
    rng = np.random.default_rng(7)
    return rank(*sources(rng.normal(size=(2, 6, 4)), rng.normal(size=(2, 15, 4))), top=4)


def test_round_trip(rankings, tmp_path):
    write_ranking(tmp_path / "a.h5", rankings, {"encoder": "tiny", "skipped": []})
    found, attributes = read_ranking(tmp_path / "a.h5")
    assert attributes == {"encoder": "tiny", "skipped": []}
    for direction, ranking in rankings.items():
        assert found[direction].query_ids == ranking.query_ids
        assert found[direction].gallery_ids == ranking.gallery_ids
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(found[direction], name), getattr(ranking, name))
            assert getattr(found[direction], name).dtype == getattr(ranking, name).dtype


def test_the_same_ranking_gives_the_same_bytes(rankings, tmp_path):
    for name in "ab":
        write_ranking(tmp_path / f"{name}.h5", rankings, {"x": 1})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_truncated_ranking_is_refused(rankings, tmp_path):
    path = tmp_path / "a.h5"
    write_ranking(path, rankings, {})
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(OvertopError, match=r"a\.h5"):
        read_ranking(path)


def test_reading_does_not_import_torch():
    code = (
        "import sys; import overtop.ranking, overtop.radius, overtop.estimators, overtop.evaluation.calibration; "
        "print('torch' in sys.modules)"
    )
    scripts = Path(__file__).parents[1] / "scripts"
    told = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(scripts)}, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "False"
