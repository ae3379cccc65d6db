import numpy as np
import pytest
from scipy.sparse import csr_array

from overtop.errors import OvertopError
from overtop.retrieval.relevance import best_rank, tied_at_top


def matrix(rows, gallery):
    dense = np.zeros((len(rows), gallery), dtype=bool)
    for query, row in enumerate(rows):
        dense[query, row] = True
    return csr_array(dense)


TOP = np.array([[3, 1, 0], [0, 1, 2], [4, 3, 2], [2, 0, 4]])
POSITIVES = matrix([[1, 0], [0], [0, 1], []], 5)


def test_best_rank():
    assert best_rank(TOP, POSITIVES).tolist() == [2, 1, np.inf, np.inf]


@pytest.mark.parametrize("seed", range(4))
def test_against_loops(seed):
    rng = np.random.default_rng(seed)
    gallery = 12
    top = np.argsort(rng.random((60, gallery)), axis=1)[:, :6]
    rows = [np.flatnonzero(rng.random(gallery) < 0.15) for _ in top]
    expected = [
        min([top_row.index(p) + 1 for p in row if p in top_row], default=np.inf)
        for top_row, row in zip(top.tolist(), rows, strict=True)
    ]
    positives = matrix(rows, gallery)
    assert best_rank(top, positives).tolist() == expected


def test_labels_of_both_directions():
    labelled = csr_array((np.ones(4, bool), ([0, 1, 2, 3], [0, 0, 1, 1])), shape=(4, 2))
    assert best_rank(np.array([[0], [1], [1], [1]]), labelled).tolist() == [1, np.inf, 1, 1]
    assert best_rank(np.array([[1], [0]]), labelled.T.tocsr()).tolist() == [1, np.inf]


def test_gallery_of_one_has_no_tenth_item():
    assert best_rank(np.zeros((3, 1), int), matrix([[0], [0], []], 1)).tolist() == [1, 1, np.inf]


def test_other_queries():
    with pytest.raises(OvertopError, match="4 queries and the positives 1"):
        best_rank(TOP, matrix([[0]], 5))


def test_ties_at_top():
    assert tied_at_top(np.array([[0.5, 0.5, 0.1], [0.5, 0.4, 0.4], [0.2, 0.2, 0.2]])).tolist() == [True, False, True]
    assert tied_at_top(np.ones((3, 1))).tolist() == [False] * 3
