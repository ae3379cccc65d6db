from math import comb, inf

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from bench.threshold_simulation import CONSTANT, FALLING, WORSE_AT_FIRST, hard_scenarios, one_start, simulate
from overtop.confidence.operating import COLUMNS
from overtop.confidence.thresholds import (
    evaluate_thresholds,
    guaranteed_threshold,
    largest_passing_threshold,
    sample_one_query_per_image,
    sequence_starts,
)
from overtop.errors import OvertopError


def random_scores(rng, queries, levels=None):
    """Return uncertainties u, and hits with probability 1 - u^2."""
    uncertainty = rng.random(queries) if levels is None else rng.integers(0, levels, queries) / levels
    return uncertainty, rng.random(queries) > uncertainty**2


def true_precision(threshold):
    """Return the expected R@1 of queries with an uncertainty below the threshold: the mean of 1 - u^2."""
    return 1 - min(threshold, 1.0) ** 2 / 3


@pytest.mark.parametrize(("precision", "confidence"), [(0.9, 0.9), (0.75, 0.8), (0.8, 0.95)])
def test_guarantee_is_violated_at_most_as_often_as_allowed(precision, confidence):
    rng = np.random.default_rng(0)
    thresholds = np.array([guaranteed_threshold(*random_scores(rng, 400), precision, confidence) for _ in range(300)])
    violated = np.mean([np.isfinite(t) and true_precision(t) < precision for t in thresholds])
    assert violated <= 1 - confidence + 3 * (confidence * (1 - confidence) / 300) ** 0.5
    assert np.isfinite(thresholds).mean() > 0.8  # most thresholds answer some queries
    best = (3 * (1 - precision)) ** 0.5
    assert np.median(thresholds) > 0.7 * best


def test_guarantee_holds_with_ties():
    rng = np.random.default_rng(1)
    levels = np.arange(10) / 10
    violated = 0
    for _ in range(300):
        threshold = guaranteed_threshold(*random_scores(rng, 300, levels=10), 0.9, 0.8)
        selected = levels[levels < threshold]
        violated += bool(len(selected)) and (1 - selected**2).mean() < 0.9
    assert violated / 300 <= 0.2 + 3 * (0.16 / 300) ** 0.5


def test_uninformative_uncertainty_below_the_target_gives_no_threshold():
    rng = np.random.default_rng(2)
    violated = [guaranteed_threshold(rng.random(400), rng.random(400) < 0.79, 0.8, 0.9) > -np.inf for _ in range(300)]
    assert np.mean(violated) <= 0.1 + 3 * (0.09 / 300) ** 0.5


def test_more_queries_give_a_higher_threshold():
    rng = np.random.default_rng(3)
    few, many = (
        np.mean([guaranteed_threshold(*random_scores(rng, n), 0.9, 0.9) for _ in range(20)]) for n in (300, 6000)
    )
    assert few < many < 0.3**0.5


@pytest.mark.parametrize("scenario", sorted(hard_scenarios(0.8)))
def test_guarantee_holds_where_recall_is_just_below_the_target(scenario):
    violated = simulate(hard_scenarios(0.8)[scenario], 300, 0.8, sequence_starts, draws=400)["violated"]
    assert violated <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


@pytest.mark.parametrize(
    ("scenario", "n", "answered", "share_of_oracle"),
    [
        (CONSTANT["constant 0.9"], 1000, 0.98, 0.98),
        (CONSTANT["constant 0.85"], 1000, 0.9, 0.9),
        (WORSE_AT_FIRST["5 % bad, .95"], 500, 0.98, 0.98),
        (WORSE_AT_FIRST["5 % bad, falling .99 to .7"], 1000, 0.75, 0.6),
        (FALLING["falling .99 to .5"], 1000, 0.98, 0.8),
    ],
    ids=["constant .9", "constant .85", "5 % bad", "5 % bad, then falling", "falling"],
)
def test_queries_are_answered_where_an_oracle_answers(scenario, n, answered, share_of_oracle):
    result = simulate(scenario, n, 0.8, sequence_starts, draws=100)
    assert result["answered"] >= answered
    assert result["coverage"] >= share_of_oracle * result["oracle"]


def test_several_starts_answer_more_than_one():
    for scenario in (CONSTANT["constant 0.9"], WORSE_AT_FIRST["5 % bad, .95"]):
        assert simulate(scenario, 1000, 0.8, one_start, draws=60)["answered"] < 0.8


def fallback_loop(uncertainty, hit, precision, level, starts, shares):
    """Return the largest threshold that passes, by loops over queries, candidates and starts."""
    n, ordered = len(hit), sorted(uncertainty)
    candidates = sorted({ordered[n * k // 100] for k in range(1, 100)} | {inf})
    below = [sum(u < t for u in uncertainty) for t in candidates]
    first = [next(j for j, count in enumerate(below) if count >= start) for start in starts]
    largest, carried = -inf, 0.0
    for j, threshold in enumerate(candidates):
        carried += sum(level * share for start, share in zip(first, shares, strict=True) if start == j)
        hits, m = sum(h for u, h in zip(uncertainty, hit, strict=True) if u < threshold), below[j]
        tail = sum(comb(m, k) * precision**k * (1 - precision) ** (m - k) for k in range(hits, m + 1))
        if carried and tail <= carried:
            largest = threshold
        else:
            carried = 0.0
    return largest


@pytest.mark.parametrize("levels", [None, 3, 20])
def test_threshold_equals_that_of_plain_loops(levels):
    rng = np.random.default_rng(4)
    found = []
    for n in (1, 7, 60, 150, 150, 150):
        uncertainty, hit = random_scores(rng, n, levels)
        for starts, shares in (sequence_starts(n, 0.8, 0.1), ([n / 4, n / 2, n], [0.3, 0.3, 0.4])):
            threshold = largest_passing_threshold(uncertainty, hit, 0.8, 0.1, np.array(starts), np.array(shares))
            assert threshold == fallback_loop(uncertainty.tolist(), hit.tolist(), 0.8, 0.1, starts, shares)
            found.append(threshold)
    assert len(set(found)) > 1


@pytest.mark.parametrize("n", [1, 28, 85, 86, 200, 1000, 100_000])
def test_starts_share_the_whole_level(n):
    starts, shares = sequence_starts(n, 0.9, 0.05)
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).all()
    assert (np.diff(starts) > 0).all()
    assert starts[-1] == n


def test_bad_first_queries_do_not_end_all_tests():
    hit = np.arange(1000) >= 50
    assert guaranteed_threshold(np.arange(1000.0), hit, 0.8, 0.95) == np.inf


def test_early_misses_do_not_end_the_sequence_of_tests():
    hit = np.arange(1000) > 1
    assert guaranteed_threshold(np.arange(1000.0), hit, 0.9, 0.95) == np.inf


@pytest.mark.parametrize(
    ("uncertainty", "hit", "expected"),
    [
        (np.arange(100.0), np.ones(100, bool), np.inf),
        (np.arange(100.0), np.zeros(100, bool), -np.inf),
        (np.arange(10.0), np.ones(10, bool), -np.inf),
        (np.zeros(1), np.ones(1, bool), -np.inf),
        (np.full(100, 0.5), np.ones(100, bool), np.inf),
        (np.full(100, 0.5), np.arange(100) < 90, -np.inf),
        (np.repeat([0.0, 1.0], 100), np.repeat([True, False], 100), 1.0),
    ],
    ids=["all hit", "none hits", "too few", "one query", "constant and right", "constant", "two levels"],
)
def test_degenerate_scores_have_the_expected_threshold(uncertainty, hit, expected):
    assert guaranteed_threshold(uncertainty, hit, 0.9, 0.95) == expected


def test_constant_uncertainty_is_one_exact_binomial_test():
    n = 30
    for hits in range(n + 1):
        guaranteed = guaranteed_threshold(np.zeros(n), np.arange(n) < hits, 0.9, 0.95) == np.inf
        assert guaranteed == (binom.sf(hits - 1, n, 0.9) <= 0.05)


@pytest.mark.parametrize(
    ("uncertainty", "precision", "confidence", "message"),
    [
        ([], 0.9, 0.9, "no queries"),
        ([np.nan], 0.9, 0.9, "is nan"),
        ([0.1], 1.0, 0.9, r"precision is 1\.0"),
        ([0.1], 0.9, 0, "confidence is 0"),
    ],
)
def test_invalid_input_is_rejected(uncertainty, precision, confidence, message):
    with pytest.raises(OvertopError, match=message):
        guaranteed_threshold(np.array(uncertainty), np.ones(len(uncertainty), bool), precision, confidence)


def make_scores(seed, images=400, per_image=5, estimators=("a", "b")):
    rng = np.random.default_rng(seed)
    uncertainty, hit = random_scores(rng, images * per_image)
    frame = pd.DataFrame(
        {
            "query_id": [f"q{i}" for i in range(len(hit))],
            "image_id": [f"i{i // per_image}" for i in range(len(hit))],
            "direction": "t2i",
            "protocol": "corrected",
            "hit": hit,
            "hit_extended": pd.array([pd.NA] * len(hit), dtype="boolean"),
        }
    )
    return pd.concat([frame.assign(estimator=name, uncertainty=uncertainty) for name in estimators], ignore_index=True)


def test_sample_has_one_query_per_image_and_the_same_for_all_estimators():
    scores = make_scores(0)
    selected = sample_one_query_per_image(scores, seed=1)
    a, b = (selected.loc[selected["estimator"] == name, "query_id"].tolist() for name in "ab")
    assert a == b
    assert sorted(selected.loc[selected["estimator"] == "a", "image_id"]) == sorted(scores["image_id"].unique())
    pd.testing.assert_frame_equal(selected, sample_one_query_per_image(scores, seed=1))
    assert set(a) != set(sample_one_query_per_image(scores, seed=2)["query_id"])
    place = pd.Series(a).str[1:].astype(int) % 5
    assert place.value_counts(normalize=True).between(0.1, 0.3).all()


def test_table_has_the_measured_coverage_and_precision():
    validation, test = sample_one_query_per_image(make_scores(1), 0), sample_one_query_per_image(make_scores(2), 0)
    table = evaluate_thresholds(validation, test, [0.8, 0.9, 0.999], 0.9)
    assert set(table) <= set(COLUMNS)
    assert len(table) == 2 * 3
    for _, row in table.iterrows():
        val_rows, test_rows = (frame[frame["estimator"] == row["estimator"]] for frame in (validation, test))
        uncertainty, hit = val_rows["uncertainty"].to_numpy(), val_rows["hit"].to_numpy()
        threshold = guaranteed_threshold(uncertainty, hit, row["target"], 0.9)
        assert row["threshold"] == threshold
        answered = test_rows[test_rows["uncertainty"] < threshold]
        assert (row["n_validation"], row["n_test"], row["coverage"]) == (400, 400, len(answered) / 400)
        if row["target"] == 0.999:
            assert row["coverage"] == 0
            assert np.isnan(row["achieved"])
            assert row["met"] is pd.NA
            assert (row["achieved_low"], row["achieved_high"]) == (0, 1)
        else:
            assert row["achieved"] == answered["hit"].mean()
            assert row["achieved_low"] < row["achieved"] < row["achieved_high"]
            assert row["met"] == (row["achieved"] >= row["target"])


def test_scores_that_do_not_match_are_rejected():
    validation, test = (
        sample_one_query_per_image(make_scores(1), 0),
        sample_one_query_per_image(make_scores(2, estimators=("a",)), 0),
    )
    with pytest.raises(OvertopError, match="t2i, b, corrected: scored on validation but not on test"):
        evaluate_thresholds(validation, test, [0.9], 0.9)
    with pytest.raises(OvertopError, match="an image has several queries"):
        evaluate_thresholds(make_scores(1), make_scores(1), [0.9], 0.9)
