import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from overtop.errors import OvertopError
from overtop.evaluation.learned import fit_logistic_regression, learned_uncertainty


def make_scores(seed, names=("a", "b", "constant", "probvlm"), queries=300):
    """A score table of one direction and protocol; `probvlm` has the answer."""
    rng = np.random.default_rng(seed)
    hit = rng.random(queries) < 0.6
    values = {
        "a": rng.normal(size=queries) - hit,
        "b": 50 * rng.normal(size=queries) - 30 * hit,
        "constant": np.ones(queries),
        "probvlm": (~hit).astype(float),
    }
    ids = [f"q{i}" for i in range(queries)]
    frames = [pd.DataFrame({"query_id": ids, "estimator": n, "uncertainty": values[n], "hit": hit}) for n in names]
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("separable", [False, True])
def test_weights_equal_those_of_scikit_learn(separable):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 4))
    features[:, 3] = features[:, 2] + 1e-3 * rng.normal(size=200)
    target = features[:, 0] > 0 if separable else features[:, 0] + rng.normal(size=200) > 0.5
    weights = fit_logistic_regression(features, target)
    expected = LogisticRegression(C=1.0, tol=1e-10, max_iter=10000).fit(features, target)
    np.testing.assert_allclose(weights, [*expected.intercept_, *expected.coef_[0]], atol=1e-4)


def test_uncertainty_is_the_probability_of_a_miss_by_the_standardised_estimators():
    labelled, scores = make_scores(0), make_scores(1)
    uncertainty = learned_uncertainty(labelled, scores)
    train, test = (
        np.column_stack([table[table["estimator"] == name]["uncertainty"] for name in ("a", "b")])
        for table in (labelled, scores)
    )
    scaler = StandardScaler().fit(train)
    miss = ~labelled[labelled["estimator"] == "a"]["hit"]
    model = LogisticRegression(C=1.0, tol=1e-10).fit(scaler.transform(train), miss)
    np.testing.assert_allclose(uncertainty, model.predict_proba(scaler.transform(test))[:, 1], atol=1e-5)


def test_only_estimators_of_both_splits_are_used():
    expected = learned_uncertainty(make_scores(0, ["a"]), make_scores(1, ["a"]))
    np.testing.assert_array_equal(learned_uncertainty(make_scores(0, ["a"]), make_scores(1, ["b", "a"])), expected)
    np.testing.assert_array_equal(learned_uncertainty(make_scores(0, ["b", "a"]), make_scores(1, ["a"])), expected)


@pytest.mark.parametrize("hit", [True, False])
def test_labelled_split_of_one_outcome_is_refused(hit):
    with pytest.raises(OvertopError, match="only hits or only misses"):
        learned_uncertainty(make_scores(0).assign(hit=hit), make_scores(1))
