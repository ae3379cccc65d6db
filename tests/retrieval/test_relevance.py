import numpy as np
import pytest
from scipy.sparse import csr_array

from helpers.rankings import make_ranking
from overtop.errors import OvertopError
from overtop.retrieval.relevance import best_rank, eccv_hits, is_tied_at_top, positives_matrix
from overtop.storage.split import EccvJudgments, Split


def sparse_matrix(rows, gallery):
    dense = np.zeros((len(rows), gallery), dtype=bool)
    for query, row in enumerate(rows):
        dense[query, row] = True
    return csr_array(dense)


TOP_IDS = np.array([[3, 1, 0], [0, 1, 2], [4, 3, 2], [2, 0, 4]])
POSITIVES = sparse_matrix([[1, 0], [0], [0, 1], []], 5)


def test_best_rank_is_that_of_the_first_positive():
    assert best_rank(TOP_IDS, POSITIVES).tolist() == [2, 1, np.inf, np.inf]


@pytest.mark.parametrize("block", [1, 7, 60, 1000])
def test_best_rank_of_random_rankings_equals_a_loop(monkeypatch, block):
    monkeypatch.setattr("overtop.retrieval.relevance._BLOCK", block)
    rng = np.random.default_rng(block)
    gallery = 12
    top_ids = np.argsort(rng.random((60, gallery)), axis=1)[:, :6]
    rows = [np.flatnonzero(rng.random(gallery) < 0.15) for _ in top_ids]
    expected = [
        min([items.index(p) + 1 for p in row if p in items], default=np.inf)
        for items, row in zip(top_ids.tolist(), rows, strict=True)
    ]
    assert best_rank(top_ids, sparse_matrix(rows, gallery)).tolist() == expected


def test_best_rank_uses_the_transposed_matrix_for_the_other_direction():
    labelled = csr_array((np.ones(4, bool), ([0, 1, 2, 3], [0, 0, 1, 1])), shape=(4, 2))
    assert best_rank(np.array([[0], [1], [1], [1]]), labelled).tolist() == [1, np.inf, 1, 1]
    assert best_rank(np.array([[1], [0]]), labelled.T.tocsr()).tolist() == [1, np.inf]


def test_best_rank_in_a_gallery_of_one_item_is_1_or_infinite():
    assert best_rank(np.zeros((3, 1), int), sparse_matrix([[0], [0], []], 1)).tolist() == [1, 1, np.inf]


def test_best_rank_of_no_queries_is_empty():
    assert best_rank(np.zeros((0, 3), int), csr_array((0, 5), dtype=bool)).shape == (0,)


def test_positives_of_other_queries_are_an_error():
    with pytest.raises(OvertopError, match="4 queries and the positives 1"):
        best_rank(TOP_IDS, sparse_matrix([[0]], 5))


@pytest.mark.parametrize("extended", [False, True])
def test_positives_matrix_follows_the_order_of_the_ranking(extended):
    split = Split(
        image_ids=["1", "0"],
        image_paths=["", ""],
        caption_ids=["2", "0", "1"],
        captions=["a", "b", "c"],
        image_of_caption=np.array([0, 0, 1]),
        extended=[np.array([0, 1]), np.array([0]), np.array([1])],
    )
    ranking = make_ranking(np.zeros((3, 2)))
    expected = [[False, True], [True, False], [extended, True]]
    assert positives_matrix(split, "t2i", ranking, extended).toarray().tolist() == expected
    ranking = make_ranking(np.zeros((2, 3)))
    assert positives_matrix(split, "i2t", ranking, extended).toarray().T.tolist() == expected


@pytest.mark.parametrize(
    ("direction", "expected"),
    # Image 1 was not judged; caption 1 was judged, but its only match is missing from the gallery.
    [("t2i", {"0": 1, "1": np.nan, "2": 0, "3": np.nan}), ("i2t", {"0": np.nan, "1": 1})],
)
def test_eccv_hits_are_of_judged_queries_with_a_match(direction, expected):
    judgments = EccvJudgments(
        [np.array([1]), np.array([2]), np.array([0]), np.array([1])],
        np.array([True, True, True, False]),
        np.array([False, True, True]),
    )
    own = np.array([0, 0, 1, 2])
    split = Split([*"012"], [""] * 3, [*"0123"], [*"abcd"], own, None, None, judgments)
    top = {"t2i": [[0.1, 0.9]] * 4, "i2t": [[0.9, 0.1, 0.3, 0.2]] * 2}[direction]
    ranking = make_ranking(np.array(top))
    assert eccv_hits(split, direction, ranking).tolist() == pytest.approx([*expected.values()], nan_ok=True)


def test_tie_at_top_needs_two_equal_best_scores():
    scores = np.array([[0.5, 0.5, 0.1], [0.5, 0.4, 0.4], [0.2, 0.2, 0.2]])
    assert is_tied_at_top(scores).tolist() == [True, False, True]
    assert is_tied_at_top(np.ones((3, 1))).tolist() == [False] * 3


@pytest.mark.parametrize("extended", [False, True])
def test_queries_without_a_known_match_have_no_positives(extended):
    positives = [np.array([0, 2]), np.array([2]), np.empty(0, np.int64), np.empty(0, np.int64)]
    split = Split([*"012"], [""] * 3, [*"0123"], ["words"] * 4, np.array([0, 2, -1, -1]), positives)
    expected = np.zeros((4, 3), dtype=bool)
    expected[0, 0] = expected[1, 2] = True
    expected[0, 2] = extended
    t2i = positives_matrix(split, "t2i", make_ranking(np.zeros((4, 3))), extended)
    i2t = positives_matrix(split, "i2t", make_ranking(np.zeros((3, 4))), extended)
    np.testing.assert_array_equal(t2i.toarray(), expected)
    np.testing.assert_array_equal(i2t.toarray(), expected.T)


def test_split_without_any_known_match_has_no_positives():
    split = Split([*"01"], [""] * 2, [*"01"], ["words"] * 2, np.array([-1, -1]))
    assert positives_matrix(split, "t2i", make_ranking(np.zeros((2, 2))), False).nnz == 0
