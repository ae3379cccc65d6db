import numpy as np
import pytest

from helpers import oracles
from overtop.radius.geometry import Space
from overtop.radius.pgd import Limits, walk
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource


def spaces(mirror, top):
    """The real queries of both directions, their lengths, and the space they walk in."""
    real = np.load(mirror / "embeddings" / "flickr8k_test_openai_clip_vitb32.npz")
    images, texts = ArraySource([real["image"][:400]]), ArraySource([real["text"][:500]])
    rankings = rank(images, texts, top=top)
    for direction, queries, gallery in (("t2i", texts, images), ("i2t", images, texts)):
        raw = queries.read(0, 0, queries.n_items)
        yield Space(queries, gallery, rankings[direction], "cpu"), raw, gallery.read(0, 0, gallery.n_items)


@pytest.mark.parametrize("candidates", [2, 16])
def test_real_walks_are_those_of_autograd_at_any_number_of_candidates(mirror, candidates):
    for space, queries, gallery in spaces(mirror, top=50):
        walked = walk(space, np.linalg.norm(queries, axis=1), candidates=candidates)  # float32 lengths
        rows = np.arange(0, len(queries), 40)
        np.testing.assert_allclose(walked[rows], [oracles.walk(queries[q], gallery) for q in rows], atol=1e-6)


def test_real_walks_of_own_step(mirror):
    for space, queries, gallery in spaces(mirror, top=50):
        walked = walk(space, np.ones(len(queries)), Limits(0.005, 12), candidates=4)
        expected = [oracles.walk(oracles.unit(queries[q]), gallery, 0.005, 12) for q in range(0, len(queries), 50)]
        np.testing.assert_allclose(walked[::50], expected, atol=1e-6)
        assert (walked < 0.06 * 0.9).any()
        assert (walked > 0.06 * 0.9).any()


@pytest.mark.parametrize("candidates", [2, 3, 8])
def test_rivals_that_are_nearly_the_same(candidates):
    rng = np.random.default_rng(1)
    base = rng.normal(size=(6, 10))
    gallery = np.concatenate([base + spread * rng.normal(size=(6, 10)) for spread in (0, 1e-2, 1e-3, 1e-4)])
    queries = 3.0 * (base + 0.4 * rng.normal(size=(6, 10)))
    asked, items = ArraySource([queries]), ArraySource([gallery])
    space = Space(asked, items, rank(items, asked, top=12)["t2i"], "cpu")
    queries, gallery = asked.read(0, 0, 6), items.read(0, 0, 24)
    walked = walk(space, np.linalg.norm(queries, axis=1), candidates=candidates)
    np.testing.assert_allclose(walked, [oracles.walk(query, gallery) for query in queries], atol=1e-4)
