import numpy as np
import pytest
from scipy.sparse import csr_array

from overtop.confidence.conformal import (
    Candidates,
    conformal_margin,
    evaluate_conformal_sets,
    required_margins,
    set_sizes,
)
from overtop.confidence.operating import COLUMNS
from overtop.errors import OvertopError


def random_candidates(seed, queries=300, gallery=40, n_items=40):
    """Return candidates whose positive has a higher mean similarity than the other items."""
    rng = np.random.default_rng(seed)
    positive = rng.integers(0, gallery, queries)
    scores = rng.normal(size=(queries, gallery))
    scores[np.arange(queries), positive] += 2
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n_items]
    matrix = csr_array((np.ones(queries, bool), (np.arange(queries), positive)), shape=(queries, gallery))
    return Candidates(order, np.take_along_axis(scores, order, axis=1), matrix)


SMALL = Candidates(
    np.array([[2, 0, 1], [1, 2, 0], [0, 1, 2]]),
    np.array([[0.9, 0.8, 0.1], [0.5, 0.5, 0.4], [0.7, 0.6, 0.5]]),
    csr_array(np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=bool)),
)


def test_required_margin_is_the_gap_to_the_best_positive():
    assert required_margins(SMALL) == pytest.approx([0.1, 0, np.inf])


def test_hit_requires_no_margin():
    queries = random_candidates(0)
    hit = queries.positives.toarray()[np.arange(300), queries.top_ids[:, 0]]
    assert ((required_margins(queries) == 0) == hit).all()


def test_set_sizes_are_censored_where_the_set_may_continue():
    for margin, sizes, censored in (
        (0.0, [1, 2, 1], [False] * 3),
        (0.15, [2, 3, 2], [False, True, False]),
        (5.0, [3, 3, 3], [True] * 3),
        (np.inf, [4, 4, 4], [False] * 3),
    ):
        size, is_censored = set_sizes(SMALL, margin)
        assert (size.tolist(), is_censored.tolist()) == (sizes, censored)


def test_set_sizes_of_a_complete_ranking_are_not_censored():
    assert not set_sizes(random_candidates(1), 100.0)[1].any()
    assert set_sizes(random_candidates(1, n_items=10), 100.0)[1].all()


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5), (0.8, 8), (0.9, 9), (0.89, 9), (0.95, np.inf)])
def test_margin_is_the_corrected_quantile(share, expected):
    """The ceil(10 share)-th smallest of 1, ..., 9."""
    assert conformal_margin(np.random.default_rng(0).permutation(9) + 1.0, share) == expected


def test_margin_is_infinite_where_too_many_positives_are_missing():
    assert conformal_margin(np.append(np.zeros(80), np.full(20, np.inf)), 0.9) == np.inf
    assert conformal_margin(np.append(np.zeros(80), np.full(20, np.inf)), 0.7) == 0


def test_set_of_a_query_without_a_positive_in_the_gallery_never_has_one():
    """Half of the positives are absent: no margin reaches 0.6, and the whole gallery has half of the positives."""
    queries = random_candidates(2)
    matrix = queries.positives.toarray()
    matrix[::2] = False
    half = Candidates(queries.top_ids, queries.top_scores, csr_array(matrix))
    row = evaluate_conformal_sets(half, half, [0.6], 0.9).iloc[0]
    assert (row["threshold"], row["achieved"], row["met"]) == (np.inf, 0.5, False)


@pytest.mark.parametrize(
    ("margins", "share", "message"),
    [([], 0.9, "at least one query"), ([0.1, np.nan], 0.9, "NaN"), ([0.1], 1.0, r"with a positive is 1\.0")],
)
def test_invalid_input_is_rejected(margins, share, message):
    with pytest.raises(OvertopError, match=message):
        conformal_margin(np.array(margins), share)


@pytest.mark.parametrize("share", [0.7, 0.9])
def test_sets_have_the_target_coverage_on_average(share):
    """Over validation and test: between share and share + 1 / (n + 1), since gaps above 0 have no ties."""
    covered = []
    for seed in range(0, 300, 2):
        validation, test = (required_margins(random_candidates(s, 99)) for s in (seed, seed + 1))
        covered.append((test <= conformal_margin(validation, share)).mean())
    assert np.mean(covered) == pytest.approx(share + 0.005, abs=4 * np.std(covered) / 150**0.5 + 0.005)


def test_table_has_the_measured_coverage_and_sizes():
    validation, test = random_candidates(1000), random_candidates(1001, n_items=12)
    table = evaluate_conformal_sets(validation, test, [0.6, 0.95], 0.9)
    assert set(table) <= set(COLUMNS)
    assert table["target"].tolist() == [0.6, 0.95]
    for _, row in table.iterrows():
        margin = conformal_margin(required_margins(validation), row["target"])
        sizes, censored = set_sizes(test, margin)
        assert row["threshold"] == margin
        assert row["achieved"] == (required_margins(test) <= margin).mean()
        assert (row["mean_set_size"], row["median_set_size"]) == (sizes.mean(), np.median(sizes))
        assert row["share_censored"] == censored.mean()
        assert row["met"] == (row["achieved"] >= row["target"])
        assert row["achieved_low"] < row["achieved"] < row["achieved_high"]
    assert table["mean_set_size"].is_monotonic_increasing
