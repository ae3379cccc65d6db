import numpy as np
import pytest
from scipy.sparse import csr_array

from overtop.errors import OvertopError
from overtop.evaluation import best_rank, hits, recall_at, ties_at_top


def matrix(rows, gallery):
    dense = np.zeros((len(rows), gallery), dtype=bool)
    for query, row in enumerate(rows):
        dense[query, row] = True
    return csr_array(dense)


TOP = np.array([[3, 1, 0], [0, 1, 2], [4, 3, 2], [2, 0, 4]])
POSITIVES = matrix([[1, 0], [0], [0, 1], []], 5)


def test_best_rank():
    assert best_rank(TOP, POSITIVES).tolist() == [2, 1, 4, 4]


def test_hits_and_recall():
    assert hits(TOP, POSITIVES).tolist() == [False, True, False, False]
    assert [recall_at(k, TOP, POSITIVES) for k in (1, 2, 3)] == [0.25, 0.5, 0.5]


@pytest.mark.parametrize("seed", range(4))
def test_against_loops(seed):
    rng = np.random.default_rng(seed)
    gallery = 12
    top = np.argsort(rng.random((60, gallery)), axis=1)[:, :6]
    rows = [np.flatnonzero(rng.random(gallery) < 0.15) for _ in top]
    expected = [
        min([top_row.index(p) + 1 for p in row if p in top_row], default=7)
        for top_row, row in zip(top.tolist(), rows, strict=True)
    ]
    positives = matrix(rows, gallery)
    assert best_rank(top, positives).tolist() == expected
    for k in (1, 4, 6):
        assert recall_at(k, top, positives) == pytest.approx(np.mean([rank <= k for rank in expected]))


def test_labels_of_both_directions():
    labelled = csr_array((np.ones(4, bool), ([0, 1, 2, 3], [0, 0, 1, 1])), shape=(4, 2))
    assert hits(np.array([[0], [1], [1], [1]]), labelled).tolist() == [True, False, True, True]
    assert hits(np.array([[1], [0]]), labelled.T.tocsr()).tolist() == [True, False]


def test_gallery_of_one():
    assert recall_at(10, np.zeros((3, 1), int), matrix([[0], [0], []], 1)) == pytest.approx(2 / 3)


def test_too_short_a_ranking():
    with pytest.raises(OvertopError, match="recall at 4 .* keeps 3"):
        recall_at(4, TOP, POSITIVES)


def test_other_queries():
    with pytest.raises(OvertopError, match="4 queries and the positives 1"):
        hits(TOP, matrix([[0]], 5))


def test_no_queries():
    with pytest.raises(OvertopError, match="no queries"):
        recall_at(1, np.empty((0, 3), int), matrix(np.empty((0, 0), int), 5))


def test_ties_at_top():
    assert ties_at_top(np.array([[0.5, 0.5, 0.1], [0.5, 0.4, 0.4], [0.2, 0.2, 0.2]])) == 2
    assert ties_at_top(np.ones((3, 1))) == 0
