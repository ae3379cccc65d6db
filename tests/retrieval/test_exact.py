import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import oracles
from overtop.errors import OvertopError
from overtop.retrieval.exact import rank
from overtop.retrieval.ranking import read_ranking, write_ranking
from overtop.storage.shards import ArraySource

FIELDS = ("top_ids", "top_scores", "sample_top", "log_partition", "mean_gap")
DTYPES = [np.int32, np.float32, np.int32, np.float64, np.float64]
TEMPERATURES = (0.005, 0.01, 0.07)


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


def softmax_oracle(queries, gallery):
    """`log_partition` and `mean_gap` of the mean similarity; the 1 of the largest entry is added last."""
    mean = np.sort(oracles.similarities(queries, gallery).mean(axis=0), axis=1)
    gaps = mean[:, -1:, None] - mean[:, :-1, None]
    weights = np.exp(-gaps / np.array(TEMPERATURES))
    others = weights.sum(axis=1)
    return np.log1p(others), (weights * gaps).sum(axis=1) / (1 + others)


def check(images, texts, top, vote_top, **options):
    found = rank(*sources(images, texts), top, vote_top, TEMPERATURES, device="cpu", **options)
    for direction, queries, gallery in (("t2i", texts, images), ("i2t", images, texts)):
        expected = oracles.full_ranking(queries, gallery, top, vote_top)
        ranking = found[direction]
        np.testing.assert_array_equal(ranking.top_ids, expected[0])
        np.testing.assert_allclose(ranking.top_scores, expected[1], atol=1e-6)
        np.testing.assert_array_equal(ranking.sample_top, expected[2])
        assert ranking.temperatures == TEMPERATURES
        # A similarity in float32 is right to about 1e-7, an exponential at temperature T to 1e-7 / T.
        for ours, plain in zip(
            (ranking.log_partition, ranking.mean_gap), softmax_oracle(queries, gallery), strict=True
        ):
            np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-7)
        assert [getattr(ranking, name).dtype for name in FIELDS] == DTYPES
        assert ranking.n_samples == len(images)


both_precisions = pytest.mark.parametrize("precision", ["float32", "bfloat16"])


@both_precisions
@pytest.mark.parametrize("block", [5, 16, 1000])
@pytest.mark.parametrize(("samples", "items", "captions"), [(1, 13, 40), (4, 13, 40), (2, 50, 21)])
def test_ties_go_to_the_smaller_index(samples, items, captions, block, precision):
    rng = np.random.default_rng(samples * items)
    images, texts = on_a_grid(rng, samples, items), on_a_grid(rng, samples, captions)
    check(images, texts, top=6, vote_top=5, block=block, precision=precision)


@pytest.mark.parametrize("block", [1, 2])
def test_blocks_of_one(block):
    rng = np.random.default_rng(0)
    check(on_a_grid(rng, 2, 5), on_a_grid(rng, 2, 7), top=6, vote_top=5, block=block)


def test_all_items_alike():
    images, texts = np.ones((2, 9, 4), np.float32), np.ones((2, 30, 4), np.float32)
    check(images, texts, top=4, vote_top=3, block=8)


@pytest.mark.parametrize("samples", [1, 3])
def test_duplicates_of_a_real_valued_item(samples):
    rng = np.random.default_rng(11)
    images, texts = rng.normal(size=(samples, 40, 64)), rng.normal(size=(samples, 90, 64))
    images[:, 25:30] = images[:, 3:4]
    texts[:, 60:80] = texts[:, 8:9]
    found = rank(*sources(images, texts), 40, 5, block=32, device="cpu")
    for direction, twins in (("t2i", [3, *range(25, 30)]), ("i2t", [8, *range(60, 80)])):
        for row in found[direction].top_ids:
            places = [list(row).index(twin) for twin in twins if twin in row]
            assert places == list(range(places[0], places[0] + len(places))) if places else True


@both_precisions
@pytest.mark.parametrize("block", [17, 64])
@pytest.mark.parametrize("samples", [1, 3])
def test_real_valued(block, samples, precision):
    rng = np.random.default_rng(0)
    images, texts = rng.normal(size=(samples, 20, 32)), rng.normal(size=(samples, 64, 32))
    check(images, texts, top=20, vote_top=5, block=block, precision=precision)
    check(images, texts, top=2, vote_top=7, block=block, precision=precision)


def test_similarities_that_are_all_small_or_all_negative():
    rng = np.random.default_rng(8)
    images, texts = 0.02 * rng.normal(size=(2, 30, 16)), 0.02 * rng.normal(size=(2, 50, 16))
    images[..., 0], texts[..., 1] = 1, 1
    check(images, texts, top=5, vote_top=5, block=16)
    texts[..., 0] = -2
    check(images, texts, top=5, vote_top=5, block=16)


def check_but_for_near_ties(images, texts, top, vote_top, **options):
    """Where float64 sees two similarities less than 1e-6 apart, float32 may turn them round."""
    found = rank(*sources(images, texts), top, vote_top, device="cpu", **options)
    for direction, queries, gallery in (("t2i", texts, images), ("i2t", images, texts)):
        per_sample = oracles.similarities(queries, gallery)
        lists = found[direction].top_ids[:, None], *np.split(found[direction].sample_top, len(images), axis=1)
        for similarity, ours in zip([per_sample.mean(axis=0), *per_sample], lists, strict=True):
            ours = ours[:, 0]
            expected = np.argsort(-similarity, axis=1, kind="stable")[:, : ours.shape[1]]
            assert (ours == expected).mean() > 0.9999
            assert all(len(set(row)) == len(row) for row in ours.tolist())
            scores = [np.take_along_axis(similarity, ids, axis=1) for ids in (ours, expected)]
            np.testing.assert_allclose(*scores, atol=1e-6)


@both_precisions
def test_real_embeddings(mirror, precision):
    embeddings = np.load(mirror / "embeddings" / "flickr8k_test_openai_clip_vitb32.npz")
    images, texts = embeddings["image"][None], embeddings["text"][None, :700]
    check_but_for_near_ties(images, texts, top=50, vote_top=5, block=300, precision=precision)


@both_precisions
def test_real_embeddings_with_noise(mirror, precision):
    embeddings = np.load(mirror / "golden" / "flickr8k_b32_noisy8_inputs.npz")
    images, texts = (embeddings[side][:4].astype(np.float32) for side in ("image", "text"))
    check_but_for_near_ties(images, texts, top=20, vote_top=5, block=128, precision=precision)


@pytest.mark.parametrize("resident", [0, 4 * 29 * 10, 4 * 29 * 25])
def test_images_that_do_not_fit_are_taken_in_parts(resident):
    rng = np.random.default_rng(1)
    images = [rng.normal(size=(25, dim)) for dim in (8, 16, 5)]
    texts = [rng.normal(size=(23, dim)) for dim in (8, 16, 5)]
    check(images, texts, top=9, vote_top=2, block=7, resident=resident)


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
    """Remembers the slices that were asked for."""

    def __init__(self, *args):
        super().__init__(*args)
        self.asked = []

    def read(self, sample, start, stop):
        self.asked.append((sample, start, stop))
        return super().read(sample, start, stop)


def test_every_embedding_is_read_once_in_blocks_and_progress_is_told():
    rng = np.random.default_rng(4)
    images, texts = (_Counting(list(rng.normal(size=(2, items, 4)))) for items in (9, 25))
    told = []
    rank(images, texts, 3, block=10, progress=lambda *at: told.append(at))
    assert told == [(8, 25), (16, 25), (25, 25)]
    assert sorted(images.asked) == [(0, 0, 9), (1, 0, 9)]
    assert sorted(texts.asked) == sorted((s, *part) for s in (0, 1) for part in ((0, 8), (8, 16), (16, 25)))


def test_captions_are_read_again_only_for_images_that_do_not_fit():
    rng = np.random.default_rng(4)
    images, texts = (_Counting(list(rng.normal(size=(2, items, 4)))) for items in (9, 25))
    told = []
    rank(images, texts, 3, block=10, resident=4 * 8 * 5, precision="float32", progress=lambda *at: told.append(at))
    assert len(images.asked) == 2 * 2
    assert len(texts.asked) == 2 * 2 * 3
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (25, 25)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing_and_are_given_back(threads):
    rng = np.random.default_rng(9)
    images, texts = on_a_grid(rng, 3, 30), on_a_grid(rng, 3, 50)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        check(images, texts, top=6, vote_top=5, block=16)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("asked", "kept"), [((), ()), ([0.07, 0.01, 0.07], (0.01, 0.07)), ([1], (1.0,))])
def test_temperatures_are_distinct_and_rise(asked, kept):
    rng = np.random.default_rng(10)
    for ranking in rank(*sources(rng.normal(size=(2, 6, 4)), rng.normal(size=(2, 9, 4))), 3, 2, asked).values():
        assert ranking.temperatures == kept
        assert ranking.log_partition.shape == ranking.mean_gap.shape == (len(ranking.query_ids), len(kept))


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.inf])
def test_temperatures_that_are_none(temperature):
    rng = np.random.default_rng(10)
    with pytest.raises(OvertopError, match="not all above 0 and finite"):
        rank(*sources(rng.normal(size=(1, 6, 4)), rng.normal(size=(1, 9, 4))), 3, temperatures=[0.01, temperature])


def test_softmax_at(rankings):
    log_partition, mean_gap = rankings["t2i"].softmax_at(0.07)
    np.testing.assert_array_equal(log_partition, rankings["t2i"].log_partition[:, 1])
    np.testing.assert_array_equal(mean_gap, rankings["t2i"].mean_gap[:, 1])
    with pytest.raises(OvertopError, match=r"temperature 0\.02 \(kept: 0\.01, 0\.07\)"):
        rankings["t2i"].softmax_at(0.02)


@pytest.mark.parametrize("samples", [1, 3])
def test_the_gpu_agrees(samples):
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    rng = np.random.default_rng(12)
    both = sources(rng.normal(size=(samples, 300, 64)), rng.normal(size=(samples, 700, 64)))
    cpu, gpu = (rank(*both, 20, 5, TEMPERATURES, device=device, block=256) for device in ("cpu", "cuda"))
    for direction, ranking in cpu.items():
        np.testing.assert_allclose(gpu[direction].top_scores, ranking.top_scores, atol=1e-5)
        assert (gpu[direction].top_ids == ranking.top_ids).mean() > 0.999
        np.testing.assert_allclose(gpu[direction].log_partition, ranking.log_partition, rtol=1e-3)


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


@pytest.fixture
def rankings():
    rng = np.random.default_rng(7)
    return rank(*sources(rng.normal(size=(2, 6, 4)), rng.normal(size=(2, 15, 4))), 4, temperatures=(0.01, 0.07))


def test_round_trip(rankings, tmp_path):
    write_ranking(tmp_path / "a.h5", rankings, {"encoder": "tiny", "skipped": []})
    found, attributes = read_ranking(tmp_path / "a.h5")
    assert attributes == {"encoder": "tiny", "skipped": []}
    for direction, ranking in rankings.items():
        assert found[direction].query_ids == ranking.query_ids
        assert found[direction].gallery_ids == ranking.gallery_ids
        assert found[direction].temperatures == (0.01, 0.07)
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(found[direction], name), getattr(ranking, name))
            assert getattr(found[direction], name).dtype == getattr(ranking, name).dtype


def test_a_ranking_without_temperatures_is_written_too(tmp_path):
    rng = np.random.default_rng(7)
    rankings = rank(*sources(rng.normal(size=(1, 6, 4)), rng.normal(size=(1, 15, 4))), 4)
    write_ranking(tmp_path / "a.h5", rankings, {})
    found = read_ranking(tmp_path / "a.h5")[0]["t2i"]
    assert found.temperatures == ()
    assert found.log_partition.shape == (15, 0)


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
    scripts = Path(__file__).parents[2] / "scripts"
    told = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(scripts)}, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "False"
