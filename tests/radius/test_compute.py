import numpy as np
import pytest

from helpers import oracles
from overtop import space
from overtop.errors import OvertopError
from overtop.radius import exact as boundary
from overtop.radius import pgd as walk
from overtop.radius.compute import radii
from overtop.radius.radii import Radii, read_radii, write_radii
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource

LENGTHS = ("exact", "linear", "walk")
DIRECTIONS = ("t2i", "i2t")


def solve(images, texts, top=100, **options):
    sources = [ArraySource([np.asarray(sample) for sample in side]) for side in (images, texts)]
    return radii(*sources, rank(*sources, top=top), device="cpu", **options)


def spaces(images, texts, direction):
    """(queries, gallery) of the published and of the corrected space, as plain vectors."""
    queries, gallery = (texts, images) if direction == "t2i" else (images, texts)
    joined = [
        np.concatenate([oracles.unit(x) for x in side], axis=1) / np.sqrt(len(side)) for side in (queries, gallery)
    ]
    means = [np.mean(np.asarray(side, dtype=np.float64), axis=0) for side in (queries, gallery)]
    return {"published": means, "corrected": joined}


def hold_against_oracles(found, images, texts, rows=slice(None), tolerance=1e-4):
    for direction in DIRECTIONS:
        for protocol, (queries, gallery) in spaces(images, texts, direction).items():
            radius = found[direction].under(protocol)
            for name in LENGTHS:
                expected = [getattr(oracles, name)(query, gallery) for query in queries[rows]]
                np.testing.assert_allclose(getattr(radius, name)[rows], expected, atol=tolerance, err_msg=f"{name}")


def clustered(rng, samples, items, dim=12, spread=1.0, length=1.0):
    """Embeddings around a common direction, as CLIP's are."""
    return length * (1.0 + spread * rng.normal(size=(samples, items, dim)) / np.sqrt(dim)).astype(np.float32)


@pytest.mark.parametrize("candidates", [2, 5, 32])
@pytest.mark.parametrize(("samples", "length"), [(1, 1.0), (3, 1.0), (2, 0.1)])
def test_random_embeddings(samples, length, candidates):
    rng = np.random.default_rng(samples)
    images, texts = clustered(rng, samples, 30, length=length), clustered(rng, samples, 45, length=length)
    found = solve(images, texts, top=candidates, candidates=candidates)
    hold_against_oracles(found, images, texts, tolerance=2e-5)


def test_the_walk_takes_its_own_step_and_number():
    rng = np.random.default_rng(3)
    images, texts = clustered(rng, 1, 20), clustered(rng, 1, 20)
    found = solve(images, texts, step=0.1, iterations=3)["t2i"].under("published")
    expected = [oracles.walk(query, images[0], 0.1, 3) for query in texts[0]]
    np.testing.assert_allclose(found.walk, expected, atol=1e-5)
    assert (np.abs(found.walk - 0.3) < 0.01).any()


@pytest.mark.parametrize("candidates", [2, 32])
def test_long_queries_saturate(candidates):
    rng = np.random.default_rng(4)
    images, texts = clustered(rng, 2, 25, spread=3.0, length=20.0), clustered(rng, 2, 25, spread=3.0, length=20.0)
    found = solve(images, texts, top=candidates)
    walked = found["t2i"].under("published").walk
    assert (walked > 1.2).any()
    assert (walked <= 1.25 + 1e-9).all()
    hold_against_oracles(found, images, texts, rows=slice(None, None, 3))


def test_a_rival_from_outside_the_candidates_overtakes():
    # The walk away from item 0 towards item 1 reaches item 2, which starts third, before it would reach item 1.
    gallery = np.array([[[1.0, 0, 0.3], [0.9, 0.7, 0], [0.3, 1.0, 0]]])
    query = np.array([[[30.0, 2.0, 3.0]]])
    wide, narrow = (solve(gallery, query, top=k, iterations=2000)["t2i"].under("published") for k in (3, 2))
    np.testing.assert_allclose(narrow.walk, wide.walk, atol=1e-9)
    np.testing.assert_allclose(wide.walk, oracles.walk(query[0, 0], gallery[0], iterations=2000), atol=1e-4)
    assert not narrow.certified[0]


def test_the_number_of_candidates_changes_no_length():
    rng = np.random.default_rng(5)
    images, texts = clustered(rng, 2, 60, length=4.0), clustered(rng, 2, 40, length=4.0)
    few, some, many = (solve(images, texts, top=top, candidates=c) for top, c in [(2, 2), (9, 4), (60, 60)])
    for direction in DIRECTIONS:
        for protocol in ("published", "corrected"):
            one, other, whole = (found[direction].under(protocol) for found in (few, some, many))
            assert one.certified.mean() < other.certified.mean()
            assert whole.certified.all()
            for name in LENGTHS:
                np.testing.assert_allclose(getattr(one, name), getattr(whole, name), atol=2e-5)
                np.testing.assert_allclose(getattr(other, name), getattr(whole, name), atol=2e-5)


def test_a_certificate_is_right():
    rng = np.random.default_rng(16)
    images, texts = clustered(rng, 2, 150, spread=2.0), clustered(rng, 2, 40, spread=2.0)
    sources = [ArraySource(list(side)) for side in (images, texts)]
    for top in (2, 12, 100):
        found = radii(*sources, rank(*sources, top=top), beyond=False, candidates=2)
        for direction in DIRECTIONS:
            radius = found[direction].corrected
            queries, gallery = spaces(images, texts, direction)["corrected"]
            expected = np.array([oracles.exact(query, gallery) for query in queries])
            np.testing.assert_allclose(radius.exact[radius.certified], expected[radius.certified], atol=2e-6)
            assert (radius.exact >= expected - 2e-6).all()
            if top == 2:
                assert (radius.exact > expected + 1e-3).any()
            else:
                assert radius.certified.any()
            assert not found[direction].published.certified.any()


def test_a_search_is_judged_by_what_it_found():
    rng = np.random.default_rng(18)
    images, texts = clustered(rng, 2, 50), clustered(rng, 2, 30)
    sources = [ArraySource(list(side)) for side in (images, texts)]
    ranking = rank(*sources, top=12)["t2i"]
    radius = radii(*sources, {"t2i": ranking}, candidates=2, beyond=False)["t2i"].corrected
    queries, gallery = spaces(images, texts, "t2i")["corrected"]
    for name in LENGTHS:
        among = [
            getattr(oracles, name)(query, gallery[ids]) for query, ids in zip(queries, ranking.top_ids, strict=True)
        ]
        np.testing.assert_allclose(getattr(radius, name), among, atol=1e-5)


def test_the_size_of_the_blocks_changes_no_length(monkeypatch):
    rng = np.random.default_rng(15)
    images, texts = clustered(rng, 2, 20, length=4.0), clustered(rng, 2, 33, length=4.0)
    whole = solve(images, texts, top=4, candidates=3)
    for module in (boundary, space, walk):
        monkeypatch.setattr(module, "BYTES", 3000)
    for name, small in {"CACHE": 100, "SPAN": 5, "CHUNK_ITEMS": 2}.items():
        monkeypatch.setattr(space, name, small)
    parts = solve(images, texts, top=4, candidates=3)
    for direction in DIRECTIONS:
        for protocol in ("published", "corrected"):
            for name in LENGTHS:
                one, other = (getattr(found[direction].under(protocol), name) for found in (whole, parts))
                np.testing.assert_allclose(one, other, atol=2e-5)


def test_exact_is_the_smallest_move_that_flips():
    rng = np.random.default_rng(6)
    images, texts = clustered(rng, 1, 30), clustered(rng, 1, 10)
    found = solve(images, texts)["t2i"].under("published")
    items = oracles.unit(images[0])
    for query, radius, top1 in zip(texts[0].astype(np.float64), found.exact, found.top1, strict=True):
        moves = oracles.unit(rng.normal(size=(2000, len(query))))
        assert ((query + 0.999 * radius * moves) @ items.T).argmax(axis=1).tolist() == [top1] * 2000
        normals = oracles.unit(np.delete(items, top1, axis=0) - items[top1])
        assert (((query + 1.001 * radius * normals) @ items.T).argmax(axis=1) != top1).any()


def test_exact_is_a_lower_bound():
    rng = np.random.default_rng(7)
    found = solve(clustered(rng, 3, 40), clustered(rng, 3, 40))
    for direction in DIRECTIONS:
        for protocol in ("published", "corrected"):
            radius = found[direction].under(protocol)
            assert (radius.exact <= radius.linear + 1e-6).all()
            assert (radius.exact <= radius.walk + 1e-6).all()


def test_corrected_speaks_of_the_top1_of_the_mean_similarity():
    rng = np.random.default_rng(8)
    images, texts = ArraySource(list(rng.normal(size=(4, 9, 5)))), ArraySource(list(rng.normal(size=(4, 40, 5))))
    rankings = rank(images, texts, top=9)
    found = radii(images, texts, rankings)
    for direction in DIRECTIONS:
        np.testing.assert_array_equal(found[direction].corrected.top1, rankings[direction].top_ids[:, 0])
    assert (found["t2i"].under("published").top1 != found["t2i"].corrected.top1).any()


@pytest.mark.parametrize("noise", [0.0, 1e-8])
@pytest.mark.parametrize("candidates", [2, 32])
def test_a_duplicate_of_the_top1_gives_zero(candidates, noise):
    rng = np.random.default_rng(9)
    images = clustered(rng, 2, 20).astype(np.float64)
    images = np.concatenate([images, images[:, :5] * (1 + noise * rng.normal(size=(2, 5, 12)))], axis=1)
    texts = images[:, :15] + 0.01
    found = solve(images, texts, top=candidates)["t2i"]
    for protocol in ("published", "corrected"):
        radius = found.under(protocol)
        doubled = np.isin(radius.top1, [*range(5), *range(20, 25)])
        assert doubled.sum() == 5
        for name in LENGTHS:
            assert (getattr(radius, name)[doubled] == 0).all()
            assert (getattr(radius, name)[~doubled] > 0).all()


def test_a_tie_of_different_items_gives_zero():
    found = solve([[[0.6, 0.8], [0.8, 0.6]]], [[[1.0, 1.0], [0.5, 0.5]]])["t2i"].corrected
    np.testing.assert_allclose([found.exact, found.linear, found.walk], 0.0, atol=1e-9)


@pytest.mark.parametrize("samples", [1, 3])
def test_a_gallery_of_one(samples):
    rng = np.random.default_rng(10)
    found = solve(rng.normal(size=(samples, 1, 6)), rng.normal(size=(samples, 7, 6)))["t2i"]
    for protocol in ("published", "corrected"):
        radius = found.under(protocol)
        assert np.isinf(radius.exact).all()
        assert np.isinf(radius.linear).all()
        np.testing.assert_allclose(radius.walk, 1.25)
        assert radius.certified.all()


def test_a_vanishing_gradient_saturates():
    found = solve([[[1.0, 0.0], [-1.0, 0.0]]], [[[3.0, 0.0]]])["t2i"].under("published")
    np.testing.assert_allclose(found.exact, 3.0)
    assert np.isinf(found.linear).all()
    np.testing.assert_allclose(found.walk, 1.25)


def test_members_of_different_dimensions_have_no_published_space():
    rng = np.random.default_rng(11)
    images, texts = ([rng.normal(size=(n, dim)) for dim in (4, 6)] for n in (8, 12))
    found = solve(images, texts)
    assert found["t2i"].published is None
    with pytest.raises(OvertopError, match="differ in dimension"):
        found["t2i"].under("published")
    joined = [np.concatenate([oracles.unit(x) for x in side], axis=1) / np.sqrt(2) for side in (texts, images)]
    expected = [oracles.walk(query, joined[1]) for query in joined[0]]
    np.testing.assert_allclose(found["t2i"].under("corrected").walk, expected, atol=1e-5)


def test_samples_that_cancel_are_named():
    rng = np.random.default_rng(12)
    images, texts = rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 6, 4))
    texts[1, 3] = -texts[0, 3]
    with pytest.raises(OvertopError, match="'3'"):
        solve(images, texts)


def test_progress_is_told():
    rng = np.random.default_rng(13)
    told = []
    solve(rng.normal(size=(1, 5, 4)), rng.normal(size=(1, 6, 4)), progress=lambda *at: told.append(at))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("dims", [(4, 4), (4, 6)])
def test_round_trip(dims, tmp_path):
    rng = np.random.default_rng(14)
    images, texts = ([rng.normal(size=(n, dim)) for dim in dims] for n in (8, 12))
    written = solve(images, texts)
    for name in "ab":
        write_radii(tmp_path / f"{name}.h5", written, {"step": 0.025})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    read, attributes = read_radii(tmp_path / "a.h5")
    assert attributes == {"step": 0.025}
    for direction in DIRECTIONS:
        assert isinstance(read[direction], Radii)
        assert (read[direction].published is None) == (dims == (4, 6))
        for name in (*LENGTHS, "certified", "top1"):
            expected = getattr(written[direction].corrected, name)
            np.testing.assert_array_equal(getattr(read[direction].corrected, name), expected)
    (tmp_path / "b.h5").write_bytes((tmp_path / "b.h5").read_bytes()[:-10])
    with pytest.raises(OvertopError, match=r"b\.h5"):
        read_radii(tmp_path / "b.h5")


@pytest.mark.parametrize("top", [5, 50])
def test_real_embeddings(mirror, top):
    noisy = np.load(mirror / "golden" / "flickr8k_b32_noisy8_inputs.npz")
    images, texts = noisy["image"][:3].astype(np.float32), noisy["text"][:3].astype(np.float32)
    hold_against_oracles(solve(images, texts, top=top), images, texts, rows=slice(0, 250, 40), tolerance=1e-5)


def test_real_embeddings_are_mostly_certified(mirror):
    real = np.load(mirror / "embeddings" / "flickr8k_test_openai_clip_vitb32.npz")
    images, texts = ([real[name].astype(np.float32)] for name in ("image", "text"))
    for direction, found in solve(images, texts, top=50).items():
        radius = found.corrected
        assert radius.certified.mean() > 0.9
        queries, gallery = spaces(images, texts, direction)["corrected"]
        open_ones = np.flatnonzero(~radius.certified)[:20]
        assert open_ones.size
        expected = [oracles.exact(queries[q], gallery) for q in open_ones]
        np.testing.assert_allclose(radius.exact[open_ones], expected, atol=1e-6)
        np.testing.assert_array_equal(found.published.certified, radius.certified)
