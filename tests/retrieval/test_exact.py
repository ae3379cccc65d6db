import numpy as np
import pytest
import torch

from helpers import oracles
from overtop.errors import OvertopError
from overtop.retrieval.exact import rank
from overtop.retrieval.normalisation import Normalisation
from overtop.retrieval.ranking import ARRAYS
from overtop.storage.shards import ArraySource

DTYPES = {name: np.float64 for name in ARRAYS} | {
    "top_ids": np.int32,
    "top_scores": np.float32,
    "sample_top": np.int32,
    "rival_ids": np.int32,
    "rival_scores": np.float32,
}
TEMPERATURES = (0.005, 0.01, 0.07)

both_precisions = pytest.mark.parametrize("precision", ["float32", "bfloat16"])


def embeddings_on_grid(rng, samples, items, dim=8):
    """Embeddings of length two with four entries of +-1: their cosines are multiples of 1/4, exact and often equal."""
    embeddings = np.zeros((samples, items, dim), dtype=np.float32)
    for sample in embeddings:
        for row in sample:
            row[rng.choice(dim, 4, replace=False)] = rng.choice([-1, 1], 4)
    return embeddings


def make_sources(images, texts):
    return (
        ArraySource(list(images), [f"image-{i}" for i in range(len(images[0]))]),
        ArraySource(list(texts), [f"text-{i}" for i in range(len(texts[0]))]),
    )


def random_sources(rng, samples, images, texts, dim=4):
    return make_sources(rng.normal(size=(samples, images, dim)), rng.normal(size=(samples, texts, dim)))


def assert_equals_full_ranking(images, texts, top, vote_top, groups=None, normalisations=None, **options):
    """Compare all results of `rank` with those of the whole similarity matrix in float64."""
    options |= {"groups": groups, "normalisations": normalisations, "device": "cpu"}
    rankings = rank(*make_sources(images, texts), top, vote_top, TEMPERATURES, **options)
    for direction, queries, gallery in (("t2i", texts, images), ("i2t", images, texts)):
        top_ids, top_scores, sample_top = oracles.full_ranking(queries, gallery, top, vote_top)
        mean = oracles.cosine_similarities(queries, gallery).mean(axis=0)
        log_partition, mean_gap = oracles.softmax_sums(mean, TEMPERATURES)
        ranking = rankings[direction]
        np.testing.assert_array_equal(ranking.top_ids, top_ids)
        np.testing.assert_allclose(ranking.top_scores, top_scores, atol=1e-6)
        np.testing.assert_array_equal(ranking.sample_top, sample_top)
        assert ranking.temperatures == TEMPERATURES
        # A similarity in float32 is accurate to about 1e-7, an exponential at temperature T to 1e-7 / T.
        np.testing.assert_allclose(ranking.log_partition, log_partition, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(ranking.mean_gap, mean_gap, rtol=1e-4, atol=1e-7)
        assert {name: getattr(ranking, name).dtype for name in ARRAYS} == DTYPES
        assert ranking.n_samples == len(images)
        declared = (groups or {}).get(direction, np.arange(len(gallery[0])))
        np.testing.assert_array_equal(ranking.groups, oracles.partition(gallery, declared))
        assert_equals_group_loops(ranking, mean)
        for name, offsets in (normalisations[direction].offsets if normalisations else {}).items():
            assert_equals_normalised_loops(ranking, mean, name, offsets, normalisations[direction].temperature)


def assert_equals_group_loops(ranking, mean):
    """Compare what concerns groups with loops over the similarities (Q, N) of each query."""
    count = min(4, ranking.top_ids.shape[1] - 1, len(np.unique(ranking.groups)) - 1)
    assert ranking.rival_ids.shape == (len(mean), count)
    for query, scores in enumerate(mean.round(9)):
        rivals = oracles.rivals(scores, ranking.groups, count)
        assert ranking.rival_ids[query].tolist() == rivals
        np.testing.assert_allclose(ranking.rival_scores[query], scores[rivals], atol=1e-6)
        for column, temperature in enumerate(TEMPERATURES):
            expected = oracles.group_softmax(scores, ranking.groups, temperature)
            found = ranking.group_log_partition[query, column], ranking.group_entropy[query, column]
            np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-6)


def assert_equals_normalised_loops(ranking, mean, name, offsets, temperature):
    """Compare one normalisation with loops over the similarities (Q, N) of each query."""
    normalised = ranking.normalised[name]
    for query, scores in enumerate(mean.round(9)):
        best = oracles.descending_order(scores)[0]
        values = (scores - offsets).round(6)
        expected = oracles.group_softmax(values, ranking.groups, temperature, read_at=best)[0]
        # In float32 the weights of a group with a probability below e^-80 vanish; its best item then stands for it.
        found = min(normalised.neg_log_probability[query], 80)
        assert found == pytest.approx(min(expected, 80), rel=2e-3, abs=2e-6)
        found = values[normalised.top_ids[query]]
        np.testing.assert_allclose(found, np.sort(values)[::-1][: len(found)], atol=2e-6)


@both_precisions
@pytest.mark.parametrize("block", [5, 16, 1000])
@pytest.mark.parametrize(("samples", "items", "captions"), [(1, 13, 40), (4, 13, 40), (2, 50, 21)])
def test_equal_similarities_are_ordered_by_index(samples, items, captions, block, precision):
    rng = np.random.default_rng(samples * items)
    images, texts = embeddings_on_grid(rng, samples, items), embeddings_on_grid(rng, samples, captions)
    assert_equals_full_ranking(images, texts, top=6, vote_top=5, block=block, precision=precision)


@pytest.mark.parametrize("block", [1, 2])
def test_tiny_blocks_give_the_full_ranking(block):
    rng = np.random.default_rng(0)
    images, texts = embeddings_on_grid(rng, 2, 5), embeddings_on_grid(rng, 2, 7)
    assert_equals_full_ranking(images, texts, top=6, vote_top=5, block=block)


def test_identical_items_are_ordered_by_index():
    images, texts = np.ones((2, 9, 4), np.float32), np.ones((2, 30, 4), np.float32)
    assert_equals_full_ranking(images, texts, top=4, vote_top=3, block=8)


@pytest.mark.parametrize("samples", [1, 3])
def test_duplicates_of_a_real_valued_item_are_consecutive_and_ordered_by_index(samples):
    rng = np.random.default_rng(11)
    images, texts = rng.normal(size=(samples, 40, 64)), rng.normal(size=(samples, 90, 64))
    images[:, 25:30] = images[:, 3:4]
    texts[:, 60:80] = texts[:, 8:9]
    rankings = rank(*make_sources(images, texts), 40, 5, block=32, device="cpu")
    for direction, duplicates in (("t2i", [3, *range(25, 30)]), ("i2t", [8, *range(60, 80)])):
        complete = []
        for row in rankings[direction].top_ids:
            positions = np.flatnonzero(np.isin(row, duplicates))
            # A list that ends among the duplicates lacks those of the largest indices.
            assert row[positions].tolist() == duplicates[: len(positions)]
            assert (np.diff(positions) == 1).all()
            complete.append(len(positions) == len(duplicates))
        assert any(complete)
        assert direction == "i2t" or all(complete)


@both_precisions
@pytest.mark.parametrize("block", [17, 64])
@pytest.mark.parametrize("samples", [1, 3])
def test_real_valued_embeddings_give_the_full_ranking(block, samples, precision):
    rng = np.random.default_rng(0)
    images, texts = rng.normal(size=(samples, 20, 32)), rng.normal(size=(samples, 64, 32))
    assert_equals_full_ranking(images, texts, top=20, vote_top=5, block=block, precision=precision)
    assert_equals_full_ranking(images, texts, top=2, vote_top=7, block=block, precision=precision)


def test_small_and_negative_similarities_give_the_full_ranking():
    rng = np.random.default_rng(8)
    images, texts = 0.02 * rng.normal(size=(2, 30, 16)), 0.02 * rng.normal(size=(2, 50, 16))
    images[..., 0], texts[..., 1] = 1, 1
    assert_equals_full_ranking(images, texts, top=5, vote_top=5, block=16)
    texts[..., 0] = -2
    assert_equals_full_ranking(images, texts, top=5, vote_top=5, block=16)


@both_precisions
@pytest.mark.parametrize("block", [4, 7, 1000])
@pytest.mark.parametrize("on_grid", [True, False])
def test_groups_and_duplicates_do_not_compete(block, on_grid, precision):
    rng = np.random.default_rng(21)
    make = embeddings_on_grid if on_grid else lambda rng, *shape: rng.normal(size=(*shape, 16)).astype(np.float32)
    images, texts = make(rng, 2, 12), make(rng, 2, 36)
    images[:, [5, 9]], texts[:, [7, 20, 21, 35]] = images[:, :1], texts[:, 3:4]
    texts[:, 30] = texts[:, 28]
    sizes = [3, 1, 6, 3, 3, 2, 5, 1, 4, 3, 2, 3]
    groups = {"t2i": np.arange(12), "i2t": np.repeat(np.arange(12), sizes)}
    normalisations = {
        "t2i": Normalisation(0.05, {"a": rng.normal(0, 0.1, 12).astype(np.float32)}),
        "i2t": Normalisation(0.01, {"b": rng.normal(0, 0.5, 36).astype(np.float32), "c": np.zeros(36, np.float32)}),
    }
    # Duplicates have the same offset, as every offset that is computed from embeddings.
    normalisations["t2i"].offsets["a"][[5, 9]] = normalisations["t2i"].offsets["a"][0]
    normalisations["i2t"].offsets["b"][[7, 20, 21, 35]] = normalisations["i2t"].offsets["b"][3]
    normalisations["i2t"].offsets["b"][30] = normalisations["i2t"].offsets["b"][28]
    options = {"groups": groups, "normalisations": normalisations, "block": block, "precision": precision}
    assert_equals_full_ranking(images, texts, top=10, vote_top=5, **options)
    assert_equals_full_ranking(images, texts, top=3, vote_top=2, **options)  # most rivals are not among three items


def test_a_gallery_of_one_group_has_no_rivals_and_no_entropy():
    rng = np.random.default_rng(22)
    images, texts = rng.normal(size=(2, 3, 8)).astype(np.float32), rng.normal(size=(2, 40, 8)).astype(np.float32)
    groups = {"i2t": np.zeros(40, dtype=int)}
    assert_equals_full_ranking(images, texts, top=10, vote_top=5, groups=groups, block=16)


def test_items_of_a_group_that_do_not_follow_each_other_are_an_error():
    with pytest.raises(OvertopError, match="must follow each other"):
        rank(*random_sources(np.random.default_rng(0), 1, 4, 4), top=2, groups={"i2t": np.array([0, 1, 0, 2])})


def test_one_direction_alone_has_the_same_ranking():
    sources = random_sources(np.random.default_rng(23), 3, 20, 50)
    both = rank(*sources, 5, 5, TEMPERATURES, block=16)
    for direction in both:
        alone = rank(*sources, 5, 5, TEMPERATURES, block=16, directions=[direction])
        assert list(alone) == [direction]
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(alone[direction], name), getattr(both[direction], name))


def assert_equals_full_ranking_up_to_near_ties(images, texts, top, vote_top, **options):
    """Compare the lists of `rank` with float64; items whose similarities differ by less than 1e-6 may be swapped."""
    rankings = rank(*make_sources(images, texts), top, vote_top, device="cpu", **options)
    for direction, queries, gallery in (("t2i", texts, images), ("i2t", images, texts)):
        per_sample = oracles.cosine_similarities(queries, gallery)
        ranking = rankings[direction]
        lists = [ranking.top_ids, *(ranking.sample_top[:, s] for s in range(len(images)))]
        for similarity, ids in zip([per_sample.mean(axis=0), *per_sample], lists, strict=True):
            expected = np.argsort(-similarity, axis=1, kind="stable")[:, : ids.shape[1]]
            assert (ids == expected).mean() > 0.9999
            assert all(len(set(row)) == len(row) for row in ids.tolist())
            scores = [np.take_along_axis(similarity, columns, axis=1) for columns in (ids, expected)]
            np.testing.assert_allclose(*scores, atol=1e-6)


@both_precisions
def test_clip_embeddings_give_the_full_ranking(mirror, precision):
    embeddings = np.load(mirror / "embeddings" / "flickr8k_test_openai_clip_vitb32.npz")
    images, texts = embeddings["image"][None], embeddings["text"][None, :700]
    assert_equals_full_ranking_up_to_near_ties(images, texts, top=50, vote_top=5, block=300, precision=precision)


@both_precisions
def test_samples_of_clip_embeddings_give_the_full_ranking(mirror, precision):
    embeddings = np.load(mirror / "golden" / "flickr8k_b32_noisy8_inputs.npz")
    images, texts = (embeddings[side][:4].astype(np.float32) for side in ("image", "text"))
    assert_equals_full_ranking_up_to_near_ties(images, texts, top=20, vote_top=5, block=128, precision=precision)


@pytest.mark.parametrize("resident", [0, 4 * 29 * 10, 4 * 29 * 25])
def test_images_in_several_resident_parts_give_the_full_ranking(resident):
    rng = np.random.default_rng(1)
    images = [rng.normal(size=(25, dim)) for dim in (8, 16, 5)]
    texts = [rng.normal(size=(23, dim)) for dim in (8, 16, 5)]
    assert_equals_full_ranking(images, texts, top=9, vote_top=2, block=7, resident=resident)


@pytest.mark.parametrize(("items", "captions"), [(1, 1), (1, 12), (12, 1)])
def test_galleries_of_one_item_give_the_full_ranking(items, captions):
    rng = np.random.default_rng(2)
    images, texts = rng.normal(size=(2, items, 6)), rng.normal(size=(2, captions, 6))
    assert_equals_full_ranking(images, texts, top=10, vote_top=5, block=4)


def test_lengths_of_embeddings_do_not_change_the_ranking():
    rng = np.random.default_rng(3)
    images, texts = embeddings_on_grid(rng, 2, 10), embeddings_on_grid(rng, 2, 30)
    plain = rank(*make_sources(images, texts), top=5, device="cpu")
    scaled = rank(*make_sources(images * 2.0**7, texts * 2.0**-9), top=5, device="cpu")
    for direction in plain:
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(plain[direction], name), getattr(scaled[direction], name))


class RecordingSource(ArraySource):
    """Records the slices that are read."""

    def __init__(self, *args):
        super().__init__(*args)
        self.reads = []

    def read(self, sample, start, stop):
        self.reads.append((sample, start, stop))
        return super().read(sample, start, stop)


def recording_sources():
    rng = np.random.default_rng(4)
    return tuple(RecordingSource(list(rng.normal(size=(2, items, 4)))) for items in (9, 25))


def test_every_embedding_is_read_once_after_a_first_sample_without_duplicates_and_progress_is_reported():
    images, texts = recording_sources()
    reports = []
    rank(images, texts, 3, block=10, progress=lambda *report: reports.append(report))
    assert reports == [(9, 25), (18, 25), (25, 25)]
    assert images.reads.pop(0) == (0, 0, 9)  # the search for duplicates
    assert texts.reads.pop(0) == (0, 0, 25)
    assert sorted(images.reads) == [(0, 0, 9), (1, 0, 9)]
    assert sorted(texts.reads) == sorted((s, *part) for s in (0, 1) for part in ((0, 9), (9, 18), (18, 25)))


def test_captions_are_read_once_per_resident_part_of_the_images():
    images, texts = recording_sources()
    reports = []
    rank(
        images,
        texts,
        3,
        block=10,
        resident=4 * 8 * 5,
        precision="float32",
        progress=lambda *report: reports.append(report),
    )
    assert len(images.reads) == 1 + 2 * 2  # one for the search for duplicates
    assert len(texts.reads) == 1 + 2 * 2 * 3
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)
    assert reports[-1] == (25, 25)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_number_of_threads_changes_nothing_and_is_restored(threads):
    rng = np.random.default_rng(9)
    images, texts = embeddings_on_grid(rng, 3, 30), embeddings_on_grid(rng, 3, 50)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_equals_full_ranking(images, texts, top=6, vote_top=5, block=16)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("samples", [1, 5, 20])
def test_number_of_threads_changes_no_bit(samples):
    images, texts = random_sources(np.random.default_rng(9), samples, 300, 500)
    before, rankings = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 5):
            torch.set_num_threads(threads)
            rankings.append(rank(images, texts, 20, 10, [0.01], block=128, device="cpu"))
    finally:
        torch.set_num_threads(before)
    for direction, expected in rankings[0].items():
        for found in rankings[1:]:
            for name in ARRAYS:
                np.testing.assert_array_equal(getattr(found[direction], name), getattr(expected, name), err_msg=name)


@pytest.mark.parametrize(("temperatures", "expected"), [((), ()), ([0.07, 0.01, 0.07], (0.01, 0.07)), ([1], (1.0,))])
def test_temperatures_are_distinct_and_ascending(temperatures, expected):
    for ranking in rank(*random_sources(np.random.default_rng(10), 2, 6, 9), 3, 2, temperatures).values():
        assert ranking.temperatures == expected
        assert ranking.log_partition.shape == ranking.mean_gap.shape == (len(ranking.query_ids), len(expected))


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.inf])
def test_invalid_temperature_is_an_error(temperature):
    with pytest.raises(OvertopError, match="not all above 0 and finite"):
        rank(*random_sources(np.random.default_rng(10), 1, 6, 9), 3, temperatures=[0.01, temperature])


@pytest.mark.parametrize("samples", [1, 3])
def test_gpu_agrees_with_cpu(samples):
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    both = random_sources(np.random.default_rng(12), samples, 300, 700, dim=64)
    cpu, gpu = (rank(*both, 20, 5, TEMPERATURES, device=device, block=256) for device in ("cpu", "cuda"))
    for direction, ranking in cpu.items():
        np.testing.assert_allclose(gpu[direction].top_scores, ranking.top_scores, atol=1e-5)
        assert (gpu[direction].top_ids == ranking.top_ids).mean() > 0.999
        np.testing.assert_allclose(gpu[direction].log_partition, ranking.log_partition, rtol=1e-3)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("modality", ["image", "text"])
def test_invalid_embedding_is_named(value, modality):
    rng = np.random.default_rng(5)
    arrays = {"image": rng.normal(size=(2, 6, 4)), "text": rng.normal(size=(2, 9, 4))}
    arrays[modality][1, 4] = value
    with pytest.raises(OvertopError, match=rf"'{modality}-4' in sample 1 .*\(1 such"):
        rank(*make_sources(arrays["image"], arrays["text"]), top=3, block=3)


def test_sources_of_different_samples_are_an_error():
    rng = np.random.default_rng(6)
    with pytest.raises(OvertopError, match=r"\(4, 4\).*\(4,\)"):
        rank(*make_sources(rng.normal(size=(2, 6, 4)), rng.normal(size=(1, 6, 4))), top=3)


def test_empty_source_is_an_error():
    rng = np.random.default_rng(6)
    with pytest.raises(OvertopError, match="no texts"):
        rank(*make_sources(rng.normal(size=(1, 6, 4)), np.empty((1, 0, 4))), top=3)


@pytest.mark.parametrize("block", [None, 70])
@pytest.mark.parametrize("samples", [1, 2])
def test_one_direction_is_ranked_as_both(samples, block):
    """One direction of one sample is ranked by several threads, in blocks as wide as the queries are few."""
    rng = np.random.default_rng(3)
    sources = make_sources(embeddings_on_grid(rng, samples, 900, 16), embeddings_on_grid(rng, samples, 700, 16))
    offsets = {"t2i": Normalisation(0.02, {"bank_nnn": rng.normal(0.2, 0.05, 900).astype(np.float32)})}
    options = {"normalisations": offsets, "device": "cpu", "precision": "float32"}
    expected = rank(*sources, 10, 5, TEMPERATURES, **options)["t2i"]
    ranking = rank(*sources, 10, 5, TEMPERATURES, directions=["t2i"], block=block, **options)["t2i"]
    for name in ("top_ids", "top_scores", "sample_top", "rival_ids", "rival_scores"):
        np.testing.assert_array_equal(getattr(ranking, name), getattr(expected, name))
    for name in ("log_partition", "mean_gap", "group_log_partition", "group_entropy"):
        np.testing.assert_allclose(getattr(ranking, name), getattr(expected, name), rtol=1e-5, atol=1e-6)
    found, wanted = ranking.normalised["bank_nnn"], expected.normalised["bank_nnn"]
    np.testing.assert_array_equal(found.top_ids, wanted.top_ids)
    np.testing.assert_allclose(found.neg_log_probability, wanted.neg_log_probability, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("queries", [1, 2, 33])
def test_few_queries_of_a_long_gallery_give_the_full_ranking(queries):
    rng = np.random.default_rng(queries)
    images, texts = embeddings_on_grid(rng, 1, 3000, 16), embeddings_on_grid(rng, 1, queries, 16)
    ranking = rank(*make_sources(images, texts), 10, 5, [0.05], directions=["t2i"], device="cpu")["t2i"]
    top_ids, _, _ = oracles.full_ranking(texts, images, 10, 5)
    np.testing.assert_array_equal(ranking.top_ids, top_ids)
    log_partition, mean_gap = oracles.softmax_sums(oracles.cosine_similarities(texts, images)[0], [0.05])
    np.testing.assert_allclose(ranking.log_partition, log_partition, rtol=1e-5)
    np.testing.assert_allclose(ranking.mean_gap, mean_gap, rtol=1e-5)
