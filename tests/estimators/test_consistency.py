import numpy as np
import pytest

from helpers import oracles
from overtop.errors import OvertopError
from overtop.estimators.evidence import Evidence
from overtop.estimators.registry import score
from overtop.retrieval.ranking import Ranking


def ranking(top_ids, sample_top, gallery):
    names = [str(i) for i in range(gallery)]
    scores = np.zeros(np.shape(top_ids), np.float32)
    return Ranking(names[:1] * len(top_ids), names, np.array(top_ids), scores, np.array(sample_top))


def drawn(seed, queries, samples, gallery, k):
    """Rankings in which items compete for votes, so that ties abound."""
    rng = np.random.default_rng(seed)
    noisy = rng.normal(size=(queries, samples, gallery)) + rng.normal(size=(queries, 1, gallery))
    lists = np.argsort(-noisy, axis=2)
    return ranking(np.argsort(-noisy.mean(axis=1), axis=1), lists[:, :, :k].astype(np.int32), gallery)


CASES = [
    (0, 200, 8, 30, 5),
    (1, 100, 2, 8, 5),
    (2, 50, 50, 200, 5),
    (3, 40, 3, 5, 5),
    (4, 30, 4, 3, 3),
    (5, 5, 3, 1, 1),
]


@pytest.mark.parametrize("case", CASES)
def test_top1_against_the_oracle(case):
    made = drawn(*case)
    firsts = made.sample_top[:, :, 0]
    mode = [oracles.mode_share(row.tolist()) for row in firsts]
    returned = [np.mean([vote == best for vote in row]) for row, best in zip(firsts, made.top_ids[:, 0], strict=True)]
    evidence = Evidence(made)
    np.testing.assert_allclose(score("top1_consistency", evidence, "published"), 1 - np.array(mode), atol=1e-12)
    np.testing.assert_allclose(score("top1_consistency", evidence, "corrected"), 1 - np.array(returned), atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_topk_against_the_oracle(case):
    made, k = drawn(*case), case[-1]
    lists = made.sample_top.tolist()
    voted = [oracles.jaccard_with_most_voted(rows, k) for rows in lists]
    returned = [
        np.mean([len(set(row) & set(best)) / len(set(row) | set(best)) for row in rows])
        for rows, best in zip(lists, made.top_ids[:, :k].tolist(), strict=True)
    ]
    evidence = Evidence(made)
    np.testing.assert_allclose(score("topk_consistency", evidence, "published"), 1 - np.array(voted), atol=1e-12)
    np.testing.assert_allclose(score("topk_consistency", evidence, "corrected"), 1 - np.array(returned), atol=1e-12)


def test_the_mode_need_not_be_what_is_returned():
    made = ranking([[0, 1]], [[[1], [1], [0], [1]]], gallery=2)
    assert score("top1_consistency", Evidence(made), "published") == 0.25
    assert score("top1_consistency", Evidence(made), "corrected") == 0.75


def test_at_equal_votes_the_first_met_goes_first():
    # Ten items with one vote each: the reference is the first list, whatever its indices.
    made = ranking([[0] * 5], [[[9, 8, 7, 6, 5], [0, 1, 2, 3, 4]]], gallery=10)
    np.testing.assert_allclose(score("topk_consistency", Evidence(made), "published"), 1 - (1 + 0) / 2)
    # One item of the second list has two votes and leads; the last of the first list falls out.
    made = ranking([[0] * 5], [[[9, 8, 7, 6, 5], [0, 1, 2, 3, 4], [0, 11, 12, 13, 14]]], gallery=15)
    np.testing.assert_allclose(score("topk_consistency", Evidence(made), "published"), 1 - (4 / 6 + 1 / 9 + 1 / 9) / 3)


@pytest.mark.parametrize(("kept", "voted"), [(4, 5), (9, 3)])
def test_topk_says_when_the_ranking_is_too_short(kept, voted):
    made = ranking(np.tile(np.arange(kept), (2, 1)), np.tile(np.arange(voted), (2, 3, 1)), gallery=9)
    with pytest.raises(OvertopError, match="keep 5 items"):
        score("topk_consistency", Evidence(made), "corrected")
