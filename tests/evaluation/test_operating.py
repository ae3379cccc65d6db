import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from overtop.errors import OvertopError
from overtop.evaluation.operating import COLUMNS, exact_interval, guaranteed_threshold, independent, operating_points


def drawn(rng, queries, levels=None):
    """Uncertainties, and hits with probability 1 - u^2."""
    uncertainty = rng.random(queries) if levels is None else rng.integers(0, levels, queries) / levels
    return uncertainty, rng.random(queries) > uncertainty**2


def true_precision(threshold):
    """R@1 of all queries with an uncertainty below the threshold: the mean of 1 - u^2."""
    return 1 - min(threshold, 1.0) ** 2 / 3


@pytest.mark.parametrize(("precision", "confidence"), [(0.9, 0.9), (0.75, 0.8), (0.8, 0.95)])
def test_the_promise_is_kept_as_often_as_said(precision, confidence):
    rng = np.random.default_rng(0)
    thresholds = np.array([guaranteed_threshold(*drawn(rng, 400), precision, confidence) for _ in range(300)])
    broken = np.mean([np.isfinite(t) and true_precision(t) < precision for t in thresholds])
    assert broken <= 1 - confidence + 3 * (confidence * (1 - confidence) / 300) ** 0.5
    assert np.isfinite(thresholds).mean() > 0.8  # and it is no empty promise
    best = (3 * (1 - precision)) ** 0.5
    assert np.median(thresholds) > 0.7 * best


def test_the_promise_is_kept_with_ties():
    rng = np.random.default_rng(1)
    levels = np.arange(10) / 10
    broken = 0
    for _ in range(300):
        threshold = guaranteed_threshold(*drawn(rng, 300, levels=10), 0.9, 0.8)
        kept = levels[levels < threshold]
        broken += bool(len(kept)) and (1 - kept**2).mean() < 0.9
    assert broken / 300 <= 0.2 + 3 * (0.16 / 300) ** 0.5


def test_an_uninformative_uncertainty_just_below_the_target_promises_nothing():
    rng = np.random.default_rng(2)
    broken = [guaranteed_threshold(rng.random(400), rng.random(400) < 0.79, 0.8, 0.9) > -np.inf for _ in range(300)]
    assert np.mean(broken) <= 0.1 + 3 * (0.09 / 300) ** 0.5


def test_more_queries_promise_more():
    rng = np.random.default_rng(3)
    few, many = (np.mean([guaranteed_threshold(*drawn(rng, n), 0.9, 0.9) for _ in range(20)]) for n in (300, 6000))
    assert few < many < 0.3**0.5


def test_early_misses_do_not_end_everything():
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
def test_degenerate(uncertainty, hit, expected):
    assert guaranteed_threshold(uncertainty, hit, 0.9, 0.95) == expected


def test_the_promise_rests_on_the_exact_binomial_tail():
    """A constant uncertainty is one test."""
    n = 30
    for hits in range(n + 1):
        promised = guaranteed_threshold(np.zeros(n), np.arange(n) < hits, 0.9, 0.95) == np.inf
        assert promised == (binom.sf(hits - 1, n, 0.9) <= 0.05)


def test_exact_interval():
    low, high = exact_interval(8, 10, 0.95)
    assert (binom.sf(7, 10, low), binom.cdf(8, 10, high)) == pytest.approx((0.025, 0.025))
    assert exact_interval(0, 0, 0.9) == (0, 1)
    assert exact_interval(0, 10, 0.9)[0] == 0
    assert exact_interval(10, 10, 0.9)[1] == 1


@pytest.mark.parametrize(
    ("uncertainty", "precision", "confidence", "message"),
    [
        ([], 0.9, 0.9, "no queries"),
        ([np.nan], 0.9, 0.9, "is nan"),
        ([0.1], 1.0, 0.9, r"precision is 1\.0"),
        ([0.1], 0.9, 0, "confidence is 0"),
    ],
)
def test_bad_input(uncertainty, precision, confidence, message):
    with pytest.raises(OvertopError, match=message):
        guaranteed_threshold(np.array(uncertainty), np.ones(len(uncertainty), bool), precision, confidence)


def scored(seed, images=400, per_image=5, estimators=("a", "b")):
    rng = np.random.default_rng(seed)
    uncertainty, hit = drawn(rng, images * per_image)
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


def test_one_query_per_image_the_same_for_all_estimators():
    scores = scored(0)
    kept = independent(scores, seed=1)
    a, b = (kept.loc[kept["estimator"] == name, "query_id"].tolist() for name in "ab")
    assert a == b
    assert sorted(kept.loc[kept["estimator"] == "a", "image_id"]) == sorted(scores["image_id"].unique())
    pd.testing.assert_frame_equal(kept, independent(scores, seed=1))
    assert set(a) != set(independent(scores, seed=2)["query_id"])
    place = pd.Series(a).str[1:].astype(int) % 5
    assert place.value_counts(normalize=True).between(0.1, 0.3).all()


def test_what_test_says():
    validation, test = independent(scored(1), 0), independent(scored(2), 0)
    found = operating_points(validation, test, [0.8, 0.9, 0.999], 0.9)
    assert list(found) == COLUMNS
    assert len(found) == 2 * 3
    for _, row in found.iterrows():
        known, new = (frame[frame["estimator"] == row["estimator"]] for frame in (validation, test))
        threshold = guaranteed_threshold(known["uncertainty"].to_numpy(), known["hit"].to_numpy(), row["target"], 0.9)
        assert row["threshold"] == threshold
        kept = new[new["uncertainty"] < threshold]
        assert (row["n_validation"], row["n_test"], row["coverage"]) == (400, 400, len(kept) / 400)
        if row["target"] == 0.999:
            assert row["coverage"] == 0
            assert np.isnan(row["achieved"])
            assert row["met"] is pd.NA
            assert (row["achieved_low"], row["achieved_high"]) == (0, 1)
        else:
            assert row["achieved"] == kept["hit"].mean()
            assert row["achieved_low"] < row["achieved"] < row["achieved_high"]
            assert row["met"] == (row["achieved"] >= row["target"])


def test_scores_that_do_not_fit():
    validation, test = independent(scored(1), 0), independent(scored(2, estimators=("a",)), 0)
    with pytest.raises(OvertopError, match="t2i, b, corrected: scored on validation but not on test"):
        operating_points(validation, test, [0.9], 0.9)
    with pytest.raises(OvertopError, match="an image has several queries"):
        operating_points(scored(1), scored(1), [0.9], 0.9)
