import numpy as np
import pytest

from helpers import oracles
from overtop.radius.candidates import NO_ITEM
from overtop.radius.geometry import Space
from overtop.radius.missing_rivals import TrajectoryBatch, find_missing_rivals
from overtop.radius.trajectory import Trajectories
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource

ITEMS, TOP, STEPS, MARGIN = 40, 6, 16, 1e-3


def best_outside_items(batch, queries, gallery, top1):
    """Replay the trajectories in float64: the best outside item at each point and its product, each (T, B)."""
    trajectories = batch.trajectories
    best = np.full(trajectories.rival.shape, NO_ITEM)
    products = np.full(best.shape, -np.inf)
    for b in range(len(batch.rows)):
        x = batch.lengths[b] * oracles.normalise(queries[b])
        outside = np.setdiff1d(np.arange(len(gallery)), [top1[b], *batch.rivals[b]])
        for t in np.flatnonzero(trajectories.rival[:, b] != NO_ITEM):
            scores = gallery[outside] @ x
            best[t, b], products[t, b] = outside[scores.argmax()], scores.max()
            v = gallery[top1[b]] - gallery[trajectories.rival[t, b]]
            x = trajectories.scale[t, b] * x - trajectories.shrink[t, b] * v
    return best, products


def random_trajectories(rng, rivals, lengths, least):
    """Steps towards two candidates of each query in turn, of lengths that need not end where the top-1 changes."""
    turn = (np.arange(STEPS)[:, None] // 3) % 2
    rival = np.where(turn == 0, rivals[:, 0], rivals[:, 3])
    rival[-2:, ::2] = NO_ITEM
    scale, shrink = 1.0 + 0.03 * rng.random(rival.shape), 0.15 * lengths * rng.random(rival.shape)
    least, distance = np.broadcast_to(least, rival.shape), np.broadcast_to(3.0 * lengths, rival.shape)
    return Trajectories(np.zeros(len(lengths)), rival, scale, shrink, least, distance)


@pytest.mark.parametrize("queries", [25, 60])  # fewer and more than gallery items: without and with their products
@pytest.mark.parametrize("samples", [1, 2])
def test_missing_rivals_equal_those_of_a_replay(samples, queries):
    rng = np.random.default_rng(queries)
    gallery, query_source = (ArraySource([rng.normal(size=(n, 6))] * samples) for n in (ITEMS, queries))
    ranking = rank(gallery, query_source, top=TOP)["t2i"]
    space = Space(query_source, gallery, ranking, "cpu")
    rows, vectors = np.arange(queries), query_source.read(0, 0, queries)
    lengths, rivals = np.linalg.norm(vectors, axis=1), ranking.top_ids[:, 1:].astype(np.int64)
    scores = ranking.top_scores.astype(np.float64)
    least = lengths * (scores[:, 0] + 0.1)  # more than any item has at the start
    batch = TrajectoryBatch(rows, lengths, scores[:, -1], rivals, random_trajectories(rng, rivals, lengths, least))
    missing = find_missing_rivals(space, batch)
    best, products = best_outside_items(batch, vectors, oracles.normalise(gallery.read(0, 0, ITEMS)), space.top1)
    is_ahead = products > least + MARGIN
    assert 20 < is_ahead.sum() < 0.5 * np.isfinite(products).sum()
    np.testing.assert_array_equal(missing[is_ahead], best[is_ahead])
    assert (missing[products < least - MARGIN] == NO_ITEM).all()
