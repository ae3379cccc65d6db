from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from overtop.confidence import fitting
from overtop.confidence.fitting import (
    cross_validate,
    fit_model,
    measure_calibration,
    model_without_labels,
)
from overtop.confidence.mappings import fit_mapping
from overtop.confidence.model import QUANTILE_LEVELS, ModelFacts
from overtop.confidence.thresholds import fewest_queries, guaranteed_threshold
from overtop.errors import OvertopError
from overtop.estimators.registry import REGISTRY
from overtop.terms import AUTO_ESTIMATORS

FACTS = ModelFacts(gallery_size=100)


def draw(seed, n, curve=lambda u: 1 - u):
    rng = np.random.default_rng(seed)
    uncertainty = rng.random(n)
    return uncertainty, rng.random(n) < curve(uncertainty)


def fit(candidates, hit, similarity=None, **settings):
    similarity = np.linspace(0.2, 0.4, len(hit)) if similarity is None else similarity
    return fit_model(candidates, similarity, hit, **({"precisions": [0.8], "facts": FACTS} | settings))


@pytest.mark.parametrize(
    ("curve", "kind"),
    [
        (lambda u: 1 - u, "softmax"),
        (lambda u: expit(0.4 * logit(1 - u) - 0.5), "logistic"),
        (lambda u: np.select([u < 0.3, u < 0.6], [0.98, 0.6], 0.1), "isotonic"),
    ],
)
def test_mapping_with_the_smallest_cross_validated_nll_is_chosen(curve, kind):
    uncertainty, hit = draw(0, 2000, curve)
    model = fit({"max_softmax": uncertainty}, hit)
    assert model.mapping.kind == kind == min(model.nll_by_mapping, key=model.nll_by_mapping.get)
    assert model.mapping == fit_mapping(kind, "max_softmax", uncertainty, hit)
    assert set(model.nll_by_mapping) == {"softmax", "logistic", "isotonic"}


def test_named_mapping_is_used_although_another_one_is_better():
    uncertainty, hit = draw(1, 500)
    model = fit({"max_softmax": uncertainty}, hit, mapping="isotonic")
    assert model.mapping.kind == "isotonic"
    assert set(model.nll_by_mapping) == {"isotonic"}


def test_cross_validated_probability_of_a_query_does_not_depend_on_its_own_hit():
    uncertainty, hit = draw(2, 60)
    for row in (0, 17, 59):
        flipped = hit.copy()
        flipped[row] = ~flipped[row]
        probability, other = (cross_validate("logistic", "margin", uncertainty, h, seed=0) for h in (hit, flipped))
        assert probability[row] == other[row]
        assert (probability != other).sum() >= 40  # those of the other folds do


def test_folds_have_equal_sizes():
    uncertainty, hit = draw(3, 52)
    probability = cross_validate("logistic", "margin", np.zeros(52), hit, seed=0)
    counts = np.unique(probability, return_counts=True)[1]
    assert counts.sum() == 52
    assert (
        cross_validate("logistic", "margin", uncertainty, hit, 0)
        != cross_validate("logistic", "margin", uncertainty, hit, 1)
    ).any()


def test_calibration_has_the_plain_measures_of_cross_validated_probabilities():
    uncertainty, hit = draw(4, 300)
    model = fit({"max_softmax": uncertainty}, hit, mapping="logistic", seed=5)
    p = cross_validate("logistic", "max_softmax", uncertainty, hit, seed=5)
    order = np.argsort(-p)
    ece = sum(abs((hit[part] - p[part]).sum()) for part in np.array_split(order, 15)) / 300
    assert model.calibration.nll.value == pytest.approx(-np.log(np.where(hit, p, 1 - p)).mean())
    assert model.calibration.nll.value == pytest.approx(model.nll_by_mapping["logistic"])
    assert model.calibration.brier.value == pytest.approx(((p - hit) ** 2).mean())
    assert model.calibration.ece.value == pytest.approx(ece)
    for measure in (model.calibration.nll, model.calibration.brier, model.calibration.ece):
        assert measure.low < measure.value < measure.high


def test_calibrated_ece_is_the_mean_ece_of_simulated_hits():
    rng = np.random.default_rng(6)
    p = rng.random(400)
    simulated = []
    for _ in range(400):
        gap = (rng.random(400) < p) - p
        simulated.append(sum(abs(gap[part].sum()) for part in np.array_split(np.argsort(-p), 15)) / 400)
    assert measure_calibration(p, rng.random(400) < p, seed=0).calibrated_ece == pytest.approx(
        np.mean(simulated), rel=0.03
    )


def test_thresholds_are_those_of_all_queries_with_one_estimator():
    uncertainty, hit = draw(7, 800)
    model = fit({"max_softmax": uncertainty}, hit, precisions=[0.8, 0.6], confidence=0.9)
    assert model.n_threshold_queries == model.n_queries == 800
    for precision in (0.8, 0.6):
        expected = guaranteed_threshold(uncertainty, hit, precision, 0.9)
        assert np.isfinite(expected)
        assert model.threshold(precision).threshold == expected
        assert model.threshold(precision).coverage == (uncertainty < expected).mean()
    assert model.default_precision == 0.8


def test_auto_chooses_the_informative_estimator_on_a_third_and_thresholds_on_the_rest(monkeypatch):
    seen = []
    monkeypatch.setattr(
        fitting, "guaranteed_threshold", lambda u, h, p, c: seen.append(u) or guaranteed_threshold(u, h, p, c)
    )
    uncertainty, hit = draw(8, 600)
    noise = np.random.default_rng(9).random(600)
    model = fit({"max_softmax": noise, "margin": uncertainty}, hit)
    assert model.estimator == "margin" == min(model.nll_by_estimator, key=model.nll_by_estimator.get)
    assert model.n_threshold_queries == len(seen[0]) == 400
    assert model.n_queries == 600
    assert set(seen[0]) < set(uncertainty)
    chosen_on = np.isin(uncertainty, seen[0], invert=True)
    changed = np.where(chosen_on, hit, ~hit)  # labels of the other two thirds do not matter
    again = fit({"max_softmax": noise, "margin": uncertainty}, changed)
    assert again.nll_by_estimator == model.nll_by_estimator


def test_few_queries_choose_nothing():
    uncertainty, hit = draw(10, 29)
    model = fit({"max_softmax": uncertainty, "margin": 1 - uncertainty}, hit)
    assert (model.estimator, model.n_threshold_queries, model.nll_by_estimator) == ("max_softmax", 29, {})
    assert fit({"max_softmax": uncertainty[:9]}, hit[:9], precisions=[0.5]).calibration is None


def simulated_violations(choose, repetitions=150, estimators=12, queries=200, target=0.8):
    """Share of draws with a threshold although no estimator knows anything and R@1 is just below the target."""
    violations = 0
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        hit = rng.random(queries) < target - 1e-6
        candidates = {f"noise-{k}": rng.random(queries) for k in range(estimators)}
        violations += choose(candidates, hit, target, seed) > -np.inf
    return violations / repetitions


@pytest.mark.slow
def test_guarantee_holds_although_the_best_of_several_estimators_is_chosen(monkeypatch):
    monkeypatch.setattr(fitting, "RESAMPLES", 2)

    def choose(candidates, hit, target, seed):
        return fit(candidates, hit, precisions=[target], mapping="logistic", seed=seed).thresholds[0].threshold

    def choose_on_the_same_queries(candidates, hit, target, seed):
        nll = {
            name: fit({name: u}, hit, mapping="logistic").nll_by_mapping["logistic"] for name, u in candidates.items()
        }
        return guaranteed_threshold(candidates[min(nll, key=nll.get)], hit, target, 0.95)

    allowed = 0.05 + 3 * (0.05 * 0.95 / 150) ** 0.5
    assert simulated_violations(choose) <= 0.05
    assert simulated_violations(choose_on_the_same_queries) > allowed  # so that the split is needed


def test_quantiles_are_those_of_labelled_queries():
    uncertainty, hit = draw(11, 400)
    similarity = np.random.default_rng(12).normal(size=400)
    model = fit({"max_softmax": uncertainty}, hit, similarity)
    np.testing.assert_array_equal(model.similarity_quantiles, np.quantile(similarity, QUANTILE_LEVELS))
    np.testing.assert_array_equal(model.uncertainty_quantiles, np.quantile(uncertainty, QUANTILE_LEVELS))
    assert (model.n_hits, model.facts) == (hit.sum(), FACTS)


def test_same_seed_gives_the_same_model_and_another_one_other_folds():
    uncertainty, hit = draw(13, 200)
    candidates = {"max_softmax": uncertainty, "margin": uncertainty**2}
    assert fit(candidates, hit, seed=1) == fit(candidates, hit, seed=1)
    assert fit(candidates, hit, seed=1).nll_by_mapping != fit(candidates, hit, seed=2).nll_by_mapping


def test_too_few_queries_for_a_precision_are_a_warning_with_the_number_that_is_needed():
    with pytest.warns(
        UserWarning, match="precision 0.9 cannot .* from 28 labelled queries: at least 29 are needed"
    ) as caught:
        model = fit({"margin": np.arange(28.0)}, np.ones(28, dtype=bool), precisions=[0.9, 0.8])
    assert len(caught) == 1
    assert (model.threshold(0.9).threshold, model.threshold(0.8).threshold) == (-np.inf, np.inf)


@pytest.mark.parametrize(("precision", "confidence"), [(0.9, 0.95), (0.8, 0.95), (0.95, 0.9), (0.5, 0.75)])
def test_fewest_queries_are_those_with_which_only_hits_pass(precision, confidence):
    n = fewest_queries(precision, confidence)
    assert guaranteed_threshold(np.arange(n), np.ones(n), precision, confidence) == np.inf
    assert n == 1 or guaranteed_threshold(np.arange(n - 1), np.ones(n - 1), precision, confidence) == -np.inf


def test_model_without_labels_has_the_raw_probability_and_no_threshold():
    model = model_without_labels("bank_nnn", FACTS)
    assert (model.mapping.kind, model.thresholds, model.n_queries, model.calibration) == ("softmax", (), 0, None)
    with pytest.raises(OvertopError, match="'margin': without labelled queries only the estimators that are a prob"):
        model_without_labels("margin", FACTS)


def test_estimators_of_auto_exist_and_begin_with_the_defaults():
    assert set(AUTO_ESTIMATORS) <= set(REGISTRY)
    assert AUTO_ESTIMATORS[0] == "bank_nnn"
    assert [name for name in AUTO_ESTIMATORS if "bank" not in name][0] == "max_softmax"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": {}}, "there is no estimator"),
        ({"hit": np.ones(3)}, r"uncertainty has shape \(20,\) and hit \(3,\)"),
        ({"similarity": np.full(20, np.nan)}, "number 0 is nan"),
        ({"precisions": [1.5]}, "the target precision is 1.5"),
        ({"confidence": 0.0}, "the target confidence is 0.0"),
    ],
)
def test_invalid_argument_is_an_error(changes, message):
    arguments = {"candidates": {"margin": np.arange(20.0)}, "hit": np.ones(20), "similarity": np.ones(20)} | changes
    with pytest.raises(OvertopError, match=message):
        fit(**arguments)


def test_model_is_immutable():
    model = fit({"margin": np.arange(40.0)}, np.arange(40) < 30)
    with pytest.raises(AttributeError):
        model.estimator = "max_softmax"
    assert replace(model, estimator="gap_5").estimator == "gap_5"
