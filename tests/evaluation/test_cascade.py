import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers.cascade_inputs import N_CAPTIONS, N_IMAGES, N_SAMPLES, cheap_answers, make_cascade_inputs, voted_pairs
from overtop.evaluation.answers import estimator_answers, rank_answers
from overtop.evaluation.cascade import FRACTIONS, CascadeSettings, escalate, run_cascade
from overtop.evaluation.ordering import SortedQueries
from overtop.evaluation.selective import aurc

TEST, VAL = make_cascade_inputs(0), make_cascade_inputs(1)
SETTINGS = CascadeSettings("margin", "top1_consistency", "corrected", (0, 0.1), resamples=100, level=0.9, seed=0)


def area(uncertainty, hit):
    return aurc(SortedQueries(np.asarray(uncertainty, float), np.asarray(hit, bool)).count())[0]


@pytest.fixture(scope="module")
def results():
    return {direction: run_cascade(TEST, VAL, direction, SETTINGS) for direction in ("t2i", "i2t")}


def rows(results, direction, rule):
    curve = results[direction].curve
    return curve[curve["rule"] == rule].reset_index(drop=True)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_ends_of_a_curve_are_the_cheap_and_the_expensive_posterior(results, direction):
    cheap = cheap_answers(TEST, direction)
    full = estimator_answers(TEST.expensive, direction, "top1_consistency", "corrected")
    voted = voted_pairs(TEST, direction)
    full_order = np.lexsort([cheap["uncertainty"], full["uncertainty"]]).argsort()
    voted_order = np.lexsort([voted["cheap"], voted["expensive"]]).argsort()
    ends = {
        "full": (full["hit"], full_order, N_SAMPLES),
        "d=0.1": (voted["expensive_hit"], voted_order, voted["samples"].mean()),
    }
    for rule, (hit, order, samples) in ends.items():
        first, last = rows(results, direction, rule).iloc[0], rows(results, direction, rule).iloc[-1]
        assert first["samples_per_query"] == 1
        assert last["samples_per_query"] == pytest.approx(1 + samples)
        assert first["aurc"] == pytest.approx(area(cheap["uncertainty"], cheap["hit"]))
        assert last["aurc"] == pytest.approx(area(order, hit))
        assert (first["recall_at_1"], last["recall_at_1"]) == (cheap["hit"].mean(), hit.mean())
        assert first["change"] == first["change_low"] == first["change_high"] == 0


def test_most_uncertain_queries_are_escalated_first(results):
    pairs = voted_pairs(TEST, "t2i")
    by_uncertainty = pairs["cheap"].sort_values(ascending=False).index
    for _, row in rows(results, "t2i", "d=0.1").iterrows():
        number = round(row["fraction"] * len(pairs))
        escalated = pairs.index.isin(by_uncertainty[:number])
        assert row["samples_per_query"] == pytest.approx(1 + pairs["samples"][escalated].sum() / len(pairs))
        hit = np.where(escalated, pairs["expensive_hit"], pairs["cheap_hit"])
        assert row["recall_at_1"] == pytest.approx(hit.mean())


def test_ties_are_not_escalated_in_file_order():
    inputs = replace(TEST, cheap=TEST.cheap.assign(uncertainty=0.5))
    curve = run_cascade(inputs, VAL, "t2i", SETTINGS).curve
    half = curve.query("rule == 'd=0.1' and fraction == 0.5").iloc[0]
    samples = voted_pairs(inputs, "t2i")["samples"].to_numpy()
    assert half["samples_per_query"] != 1 + samples[: N_CAPTIONS // 2].sum() / N_CAPTIONS


def test_intervals_contain_the_value_and_equal_a_bootstrap_over_images(results):
    curve = rows(results, "t2i", "full")
    assert (curve["aurc_low"] <= curve["aurc"]).all()
    assert (curve["aurc"] <= curve["aurc_high"]).all()
    assert (curve["change_low"][1:] < curve["change_high"][1:]).all()
    cheap = cheap_answers(TEST, "t2i")
    rng = np.random.default_rng(5)
    areas = []
    for _ in range(400):
        queries = np.concatenate([[2 * image, 2 * image + 1] for image in rng.integers(0, N_IMAGES, N_IMAGES)])
        areas.append(area(cheap["uncertainty"].to_numpy()[queries], cheap["hit"].to_numpy()[queries]))
    np.testing.assert_allclose(curve.loc[0, ["aurc_low", "aurc_high"]].tolist(), np.quantile(areas, [0.05, 0.95]), 0.25)


def test_random_rule_has_the_same_ends_and_no_intervals(results):
    random, full = rows(results, "t2i", "random"), rows(results, "t2i", "full")
    np.testing.assert_allclose(random["samples_per_query"], full["samples_per_query"])
    np.testing.assert_allclose(random["aurc"].iloc[[0, -1]], full["aurc"].iloc[[0, -1]])
    assert random[["aurc_low", "aurc_high", "change_low", "change_high"]].isna().all(axis=None)


def test_tables_contain_every_rule(results):
    curve = results["t2i"].curve
    assert curve["rule"].unique().tolist() == ["full", "certain", "d=0.1", "random"]
    for _, of_rule in curve.groupby("rule"):
        assert of_rule["fraction"].tolist() == FRACTIONS.tolist()
    votes = results["i2t"].votes.set_index("rule")
    assert votes.index.tolist() == ["certain", "d=0.1", "first 2", "first 5", "first 10", f"first {N_SAMPLES}"]
    assert votes.loc["certain", "recall_at_1"] == votes.loc[f"first {N_SAMPLES}", "recall_at_1"]
    assert results["i2t"].spent["rule"].unique().tolist() == ["certain", "d=0.1"]


def test_without_stopping_rules_only_all_samples_are_used():
    result = run_cascade(TEST, VAL, "t2i", replace(SETTINGS, errors=()))
    assert result.curve["rule"].unique().tolist() == ["full", "random"]
    assert result.spent.empty


def test_better_posterior_gains_more_where_the_cheap_one_is_uncertain():
    test, val = (make_cascade_inputs(seed, expensive_noise=0.1) for seed in (2, 3))
    curve = run_cascade(test, val, "t2i", SETTINGS).curve
    full, random = (curve[curve["rule"] == rule].set_index("fraction") for rule in ("full", "random"))
    assert full["aurc"][1] < full["aurc"][0]
    assert (full["recall_at_1"] > random["recall_at_1"])[0.3:0.7].all()


@pytest.mark.parametrize("hits", list(itertools.product([False, True], repeat=2)))
def test_one_query_has_a_curve(hits):
    pairs = pd.DataFrame(
        {"image_id": ["i"], "samples": [5], "cheap": [0.3], "expensive": [0.1], "cheap_hit": [hits[0]]}, index=["q"]
    ).assign(expensive_hit=hits[1])
    steps = [step.row() for step in escalate(rank_answers(pairs, pairs), np.array([0]))]
    assert [steps[0]["aurc"], steps[-1]["aurc"]] == [1 - hits[0], 1 - hits[1]]
    assert [steps[0]["samples_per_query"], steps[-1]["samples_per_query"]] == [1, 6]
