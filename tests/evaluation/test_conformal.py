import numpy as np
import pytest
from scipy.sparse import csr_array

from overtop.errors import OvertopError
from overtop.evaluation.conformal import Candidates, conformal_sets, margin, nonconformity, set_sizes
from overtop.evaluation.operating import COLUMNS


def candidates(seed, queries=300, gallery=40, kept=40):
    """The positive of a query is like it, and noise decides the ranking."""
    rng = np.random.default_rng(seed)
    positive = rng.integers(0, gallery, queries)
    scores = rng.normal(size=(queries, gallery))
    scores[np.arange(queries), positive] += 2
    order = np.argsort(-scores, axis=1, kind="stable")[:, :kept]
    matrix = csr_array((np.ones(queries, bool), (np.arange(queries), positive)), shape=(queries, gallery))
    return Candidates(order, np.take_along_axis(scores, order, axis=1), matrix)


SMALL = Candidates(
    np.array([[2, 0, 1], [1, 2, 0], [0, 1, 2]]),
    np.array([[0.9, 0.8, 0.1], [0.5, 0.5, 0.4], [0.7, 0.6, 0.5]]),
    csr_array(np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=bool)),
)


def test_nonconformity_is_the_gap_to_the_best_positive():
    assert nonconformity(SMALL) == pytest.approx([0.1, 0, np.inf])


def test_a_hit_needs_no_margin():
    found = candidates(0)
    hit = found.positives.toarray()[np.arange(300), found.top_ids[:, 0]]
    assert ((nonconformity(found) == 0) == hit).all()


def test_sizes_and_which_are_censored():
    for within, sizes, censored in (
        (0.0, [1, 2, 1], [False] * 3),
        (0.15, [2, 3, 2], [False, True, False]),
        (5.0, [3, 3, 3], [True] * 3),
        (np.inf, [4, 4, 4], [False] * 3),
    ):
        found = set_sizes(SMALL, within)
        assert (found[0].tolist(), found[1].tolist()) == (sizes, censored)


def test_nothing_is_censored_where_the_ranking_keeps_the_whole_gallery():
    assert not set_sizes(candidates(1), 100.0)[1].any()
    assert set_sizes(candidates(1, kept=10), 100.0)[1].all()


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5), (0.8, 8), (0.9, 9), (0.89, 9), (0.95, np.inf)])
def test_margin_of_nine(share, expected):
    """The ceil(10 share)-th smallest of 1, ..., 9."""
    assert margin(np.random.default_rng(0).permutation(9) + 1.0, share) == expected


def test_margin_is_infinite_where_too_many_positives_are_unknown():
    assert margin(np.append(np.zeros(80), np.full(20, np.inf)), 0.9) == np.inf
    assert margin(np.append(np.zeros(80), np.full(20, np.inf)), 0.7) == 0


@pytest.mark.parametrize(
    ("needed", "share", "message"),
    [([], 0.9, "at least one query"), ([0.1, np.nan], 0.9, "NaN"), ([0.1], 1.0, r"positive is 1\.0")],
)
def test_bad_input(needed, share, message):
    with pytest.raises(OvertopError, match=message):
        margin(np.array(needed), share)


@pytest.mark.parametrize("share", [0.7, 0.9])
def test_the_promise_is_kept_on_average(share):
    """Over validation and test together: between share and share + 1 / (n + 1), since gaps beyond 0 have no ties."""
    held = [(nonconformity(candidates(2 * s + 1, 99)) <= margin(nonconformity(candidates(2 * s, 99)), share)).mean()
            for s in range(150)]  # fmt: skip
    assert np.mean(held) == pytest.approx(share + 0.005, abs=4 * np.std(held) / 150**0.5 + 0.005)


def test_table():
    validation, test = candidates(1000), candidates(1001, kept=12)
    found = conformal_sets(validation, test, [0.6, 0.95], 0.9)
    assert list(found) == COLUMNS
    for _, row in found.iterrows():
        within = margin(nonconformity(validation), row["target"])
        sizes, censored = set_sizes(test, within)
        assert row["threshold"] == within
        assert row["achieved"] == (nonconformity(test) <= within).mean()
        assert (row["mean_set_size"], row["median_set_size"]) == (sizes.mean(), np.median(sizes))
        assert row["share_censored"] == censored.mean()
        assert row["met"] == (row["achieved"] >= row["target"])
        assert row["achieved_low"] < row["achieved"] < row["achieved_high"]
    assert found["mean_set_size"].is_monotonic_increasing
    assert found["estimator"].isna().all()
    assert found["coverage"].isna().all()
