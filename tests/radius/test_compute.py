import sys

import numpy as np
import pytest

from helpers import oracles
from overtop.errors import OvertopError
from overtop.radius.compute import compute_radii
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource
from overtop.terms import DIRECTIONS, PROTOCOLS

APPROXIMATIONS = {"linear": oracles.linear_radius, "walk": oracles.pgd_radius}
REFERENCES = {
    "published": {"exact": oracles.exact_radius} | APPROXIMATIONS,
    "corrected": {"exact": oracles.exact_radius},
}
"""Plain reference of each distance in the space of each protocol."""


def make_sources(images, texts):
    return [ArraySource([np.asarray(sample) for sample in side]) for side in (images, texts)]


def radii_of(images, texts, top=100, **options):
    sources = make_sources(images, texts)
    return compute_radii(*sources, rank(*sources, top=top), device="cpu", **options)


def concatenate_samples(side):
    """Return the vectors of the corrected space."""
    return np.concatenate([oracles.normalise(sample) for sample in side], axis=1) / np.sqrt(len(side))


def spaces_of(images, texts, direction):
    """Return the queries and the gallery of the space of each protocol as plain vectors."""
    both = (texts, images) if direction == "t2i" else (images, texts)
    means = [np.mean(np.asarray(side, dtype=np.float64), axis=0) for side in both]
    return {"published": means, "corrected": [concatenate_samples(side) for side in both]}


def assert_equal_references(radii, images, texts, rows=slice(None), tolerance=1e-4):
    for direction in DIRECTIONS:
        for protocol, (queries, gallery) in spaces_of(images, texts, direction).items():
            radius = radii[direction].under(protocol)
            for name, reference in REFERENCES[protocol].items():
                expected = [reference(query, gallery) for query in queries[rows]]
                np.testing.assert_allclose(getattr(radius, name)[rows], expected, atol=tolerance, err_msg=name)


def random_cone(rng, samples, items, dim=12, spread=1.0, length=1.0):
    """Embeddings around a common direction, as CLIP's are."""
    return length * (1.0 + spread * rng.normal(size=(samples, items, dim)) / np.sqrt(dim)).astype(np.float32)


@pytest.mark.parametrize("candidates", [2, 5, 32])
@pytest.mark.parametrize(("samples", "length"), [(1, 1.0), (3, 1.0), (2, 0.1)])
def test_radii_of_random_embeddings_equal_the_references(samples, length, candidates):
    rng = np.random.default_rng(samples)
    images, texts = random_cone(rng, samples, 30, length=length), random_cone(rng, samples, 45, length=length)
    radii = radii_of(images, texts, top=candidates, candidates=candidates)
    assert_equal_references(radii, images, texts, tolerance=2e-5)


def test_step_and_iterations_are_used():
    rng = np.random.default_rng(3)
    images, texts = random_cone(rng, 1, 20), random_cone(rng, 1, 20)
    distances = radii_of(images, texts, step=0.1, iterations=3)["t2i"].under("published").walk
    expected = [oracles.pgd_radius(query, images[0], 0.1, 3) for query in texts[0]]
    np.testing.assert_allclose(distances, expected, atol=1e-5)
    assert (np.abs(distances - 0.3) < 0.01).any()


@pytest.mark.parametrize("candidates", [2, 32])
def test_long_queries_reach_the_length_of_all_steps(candidates):
    rng = np.random.default_rng(4)
    images, texts = (random_cone(rng, 2, 25, spread=3.0, length=20.0) for _ in range(2))
    radii = radii_of(images, texts, top=candidates)
    distances = radii["t2i"].under("published").walk
    assert (distances > 1.2).any()
    assert (distances <= 1.25 + 1e-9).all()
    assert_equal_references(radii, images, texts, rows=slice(None, None, 3))


def test_rival_outside_the_candidates_is_included():
    # The trajectory away from item 0 towards item 1 reaches item 2, the third best, before it would reach item 1.
    gallery = np.array([[[1.0, 0, 0.3], [0.9, 0.7, 0], [0.3, 1.0, 0]]])
    query = np.array([[[30.0, 2.0, 3.0]]])
    complete, short = (radii_of(gallery, query, top=top, iterations=2000)["t2i"].under("published") for top in (3, 2))
    np.testing.assert_allclose(short.walk, complete.walk, atol=1e-9)
    expected = oracles.pgd_radius(query[0, 0], gallery[0], iterations=2000)
    np.testing.assert_allclose(complete.walk, expected, atol=1e-4)
    assert not short.certified[0]


def test_number_of_candidates_changes_no_distance():
    rng = np.random.default_rng(5)
    images, texts = random_cone(rng, 2, 60, length=4.0), random_cone(rng, 2, 40, length=4.0)
    few, some, every = (
        radii_of(images, texts, top=top, candidates=candidates) for top, candidates in [(2, 2), (9, 4), (60, 60)]
    )
    for direction in DIRECTIONS:
        for protocol in PROTOCOLS:
            short, longer, complete = (radii[direction].under(protocol) for radii in (few, some, every))
            assert short.certified.mean() < longer.certified.mean()
            assert complete.certified.all()
            for name in REFERENCES[protocol]:
                np.testing.assert_allclose(getattr(short, name), getattr(complete, name), atol=2e-5)
                np.testing.assert_allclose(getattr(longer, name), getattr(complete, name), atol=2e-5)


@pytest.mark.parametrize("top", [2, 12, 100])
def test_certified_distances_equal_the_reference_without_a_scan(top):
    rng = np.random.default_rng(16)
    images, texts = random_cone(rng, 2, 150, spread=2.0), random_cone(rng, 2, 40, spread=2.0)
    radii = radii_of(images, texts, top=top, scan_gallery=False, candidates=2)
    for direction in DIRECTIONS:
        radius = radii[direction].corrected
        queries, gallery = spaces_of(images, texts, direction)["corrected"]
        expected = np.array([oracles.exact_radius(query, gallery) for query in queries])
        np.testing.assert_allclose(radius.exact[radius.certified], expected[radius.certified], atol=2e-6)
        assert (radius.exact >= expected - 2e-6).all()
        if top == 2:
            assert (radius.exact > expected + 1e-3).any()
        else:
            assert radius.certified.any()
        assert not radii[direction].published.certified.any()


def test_distances_without_a_scan_are_those_among_the_ranked_items():
    rng = np.random.default_rng(18)
    images, texts = random_cone(rng, 1, 50), random_cone(rng, 1, 30)
    sources = make_sources(images, texts)
    ranking = rank(*sources, top=12)["t2i"]
    radius = compute_radii(*sources, {"t2i": ranking}, candidates=2, scan_gallery=False)["t2i"].published
    queries, gallery = spaces_of(images, texts, "t2i")["published"]
    for name, reference in REFERENCES["published"].items():
        expected = [reference(query, gallery[ids]) for query, ids in zip(queries, ranking.top_ids, strict=True)]
        np.testing.assert_allclose(getattr(radius, name), expected, atol=1e-5)


def test_memory_budgets_change_no_distance(monkeypatch):
    rng = np.random.default_rng(15)
    images, texts = random_cone(rng, 2, 20, length=4.0), random_cone(rng, 2, 33, length=4.0)
    expected = radii_of(images, texts, top=4, candidates=3)
    small_budgets = {"MAX_ARRAY_BYTES": 3000, "CACHE_BYTES": 100, "READ_ITEMS": 5, "CHUNK_ITEMS": 2}
    patched = set()
    for name, module in list(sys.modules.items()):
        if name.startswith(("overtop.radius.", "overtop.retrieval.")):
            for budget in small_budgets.keys() & vars(module).keys():
                monkeypatch.setattr(module, budget, small_budgets[budget])
                patched.add(budget)
    assert patched == set(small_budgets)
    radii = radii_of(images, texts, top=4, candidates=3)
    for direction in DIRECTIONS:
        for protocol in PROTOCOLS:
            for name in REFERENCES[protocol]:
                values, whole = (getattr(result[direction].under(protocol), name) for result in (radii, expected))
                np.testing.assert_allclose(values, whole, atol=2e-5)


def test_exact_distance_is_the_smallest_move_that_changes_the_top1():
    rng = np.random.default_rng(6)
    images, texts = random_cone(rng, 1, 30), random_cone(rng, 1, 10)
    radius = radii_of(images, texts)["t2i"].under("published")
    items = oracles.normalise(images[0])
    for query, distance, top1 in zip(texts[0].astype(np.float64), radius.exact, radius.top1, strict=True):
        moves = oracles.normalise(rng.normal(size=(2000, len(query))))
        assert ((query + 0.999 * distance * moves) @ items.T).argmax(axis=1).tolist() == [top1] * 2000
        normals = oracles.normalise(np.delete(items, top1, axis=0) - items[top1])
        assert (((query + 1.001 * distance * normals) @ items.T).argmax(axis=1) != top1).any()


def test_exact_distance_is_a_lower_bound_on_the_approximations():
    rng = np.random.default_rng(7)
    for radii in radii_of(random_cone(rng, 3, 40), random_cone(rng, 3, 40)).values():
        assert (radii.published.exact <= radii.published.linear + 1e-6).all()
        assert (radii.published.exact <= radii.published.walk + 1e-6).all()


def test_corrected_top1_is_that_of_the_mean_similarity():
    rng = np.random.default_rng(8)
    sources = make_sources(rng.normal(size=(4, 9, 5)), rng.normal(size=(4, 40, 5)))
    rankings = rank(*sources, top=9)
    radii = compute_radii(*sources, rankings)
    for direction in DIRECTIONS:
        np.testing.assert_array_equal(radii[direction].corrected.top1, rankings[direction].top_ids[:, 0])
    assert (radii["t2i"].under("published").top1 != radii["t2i"].corrected.top1).any()


@pytest.mark.parametrize("noise", [0.0, 1e-7])
@pytest.mark.parametrize("candidates", [2, 32])
def test_copy_of_the_top1_gives_zero_unless_it_is_identical_under_corrected(candidates, noise):
    rng = np.random.default_rng(9)
    images = random_cone(rng, 2, 20).astype(np.float64)
    images = np.concatenate([images, images[:, :5] * (1 + noise * rng.normal(size=(2, 5, 12)))], axis=1)
    texts = images[:, :15] + 0.01
    radii = radii_of(images, texts, top=candidates)["t2i"]
    for protocol in PROTOCOLS:
        radius = radii.under(protocol)
        has_copy = np.isin(radius.top1, [*range(5), *range(20, 25)])
        assert has_copy.sum() == 5
        is_zero = has_copy & (protocol == "published" or noise > 0)  # identical items do not compete under corrected
        for name in REFERENCES[protocol]:
            np.testing.assert_array_equal(getattr(radius, name) == 0, is_zero)


def test_tie_of_different_items_gives_zero():
    radius = radii_of([[[0.6, 0.8], [0.8, 0.6]]], [[[1.0, 1.0], [0.5, 0.5]]])["t2i"].published
    np.testing.assert_allclose([radius.exact, radius.linear, radius.walk], 0.0, atol=1e-9)


@pytest.mark.parametrize("samples", [1, 3])
def test_gallery_of_one_item_gives_infinity_and_all_steps(samples):
    rng = np.random.default_rng(10)
    radii = radii_of(rng.normal(size=(samples, 1, 6)), rng.normal(size=(samples, 7, 6)))["t2i"]
    for protocol in PROTOCOLS:
        assert np.isinf(radii.under(protocol).exact).all()
        assert radii.under(protocol).certified.all()
    assert np.isinf(radii.published.linear).all()
    np.testing.assert_allclose(radii.published.walk, 1.25)


def test_vanishing_gradient_gives_infinity_and_all_steps():
    radius = radii_of([[[1.0, 0.0], [-1.0, 0.0]]], [[[3.0, 0.0]]])["t2i"].under("published")
    np.testing.assert_allclose(radius.exact, 3.0)
    assert np.isinf(radius.linear).all()
    np.testing.assert_allclose(radius.walk, 1.25)


def test_members_of_different_dimensions_have_only_the_corrected_space():
    rng = np.random.default_rng(11)
    images, texts = ([rng.normal(size=(n, dim)).astype(np.float32) for dim in (4, 6)] for n in (8, 12))
    radii = radii_of(images, texts)
    assert radii["t2i"].published is None
    queries, gallery = concatenate_samples(texts), concatenate_samples(images)
    expected = [oracles.exact_radius(query, gallery) for query in queries]
    np.testing.assert_allclose(radii["t2i"].corrected.exact, expected, atol=1e-12)


def test_samples_that_cancel_are_named():
    rng = np.random.default_rng(12)
    images, texts = rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 6, 4))
    texts[1, 3] = -texts[0, 3]
    with pytest.raises(OvertopError, match="'3'"):
        radii_of(images, texts)


def test_progress_is_reported_for_each_space():
    rng = np.random.default_rng(13)
    reports = []
    radii_of(rng.normal(size=(1, 5, 4)), rng.normal(size=(1, 6, 4)), progress=lambda *report: reports.append(report))
    assert reports == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("top", [5, 50])
def test_radii_of_clip_embeddings_equal_the_references(mirror, top):
    noisy = np.load(mirror / "golden" / "flickr8k_b32_noisy8_inputs.npz")
    images, texts = noisy["image"][:3].astype(np.float32), noisy["text"][:3].astype(np.float32)
    radii = radii_of(images, texts, top=top)
    assert_equal_references(radii, images, texts, rows=slice(0, 250, 40), tolerance=1e-5)


def test_most_clip_queries_are_certified(mirror):
    embeddings = np.load(mirror / "embeddings" / "flickr8k_test_openai_clip_vitb32.npz")
    images, texts = ([embeddings[name].astype(np.float32)] for name in ("image", "text"))
    for direction, radii in radii_of(images, texts, top=50).items():
        radius = radii.corrected
        assert radius.certified.mean() > 0.9
        queries, gallery = spaces_of(images, texts, direction)["corrected"]
        uncertified = np.flatnonzero(~radius.certified)[:20]
        assert uncertified.size
        expected = [oracles.exact_radius(queries[q], gallery) for q in uncertified]
        np.testing.assert_allclose(radius.exact[uncertified], expected, atol=1e-6)
        np.testing.assert_array_equal(radii.published.certified, radius.certified)
