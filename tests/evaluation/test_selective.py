import itertools

import numpy as np
import pytest
from sklearn import metrics

from overtop.errors import OvertopError
from overtop.evaluation.selective import measure_selective_prediction


def random_scores(seed, queries, values=None):
    rng = np.random.default_rng(seed)
    uncertainty = rng.random(queries) if values is None else rng.integers(0, values, queries) / values
    return uncertainty, rng.random(queries) > uncertainty * rng.random()


def measure(uncertainty, hit, precision=0.7):
    return measure_selective_prediction(np.array(uncertainty), np.array(hit, dtype=bool), precision)


def risk_curve(miss):
    """Return the share of misses among the first k, for k = 1, 2, ..."""
    return [sum(miss[:k]) / k for k in range(1, len(miss) + 1)]


def orders_of_ties(uncertainty):
    """Yield every order of the queries by ascending uncertainty."""
    groups = [[q for q, u in enumerate(uncertainty) if u == value] for value in sorted(set(uncertainty))]
    for parts in itertools.product(*(itertools.permutations(group) for group in groups)):
        yield [q for part in parts for q in part]


def oracle(uncertainty, hit, precision):
    """Return all measures by their definitions, and areas as means over every order of ties."""
    miss = [not h for h in hit]
    n, errors = len(miss), sum(miss)
    ordered = [[miss[q] for q in order] for order in orders_of_ties(uncertainty)]
    aurc = np.mean([np.mean(risk_curve(m)) for m in ordered])
    joint = [[0, *(sum(m[:k]) / n for k in range(1, n + 1))] for m in ordered]
    pairs = [
        (uncertainty[e] > uncertainty[h]) + (uncertainty[e] == uncertainty[h]) / 2
        for e in range(n)
        for h in range(n)
        if miss[e] and not miss[h]
    ]
    precision_recall, coverage = 0.0, 0.0
    for value in set(uncertainty):
        above = [q for q in range(n) if uncertainty[q] >= value]
        errors_here = sum(miss[q] for q in range(n) if uncertainty[q] == value)
        precision_recall += errors_here / max(errors, 1) * sum(miss[q] for q in above) / len(above)
        below = [q for q in range(n) if uncertainty[q] <= value]
        if sum(hit[q] for q in below) >= precision * len(below) - 1e-9:
            coverage = max(coverage, len(below) / n)
    return (
        aurc,
        aurc - np.mean(risk_curve(sorted(miss))),
        np.mean([np.trapezoid(j, dx=1 / n) for j in joint]),
        np.mean(pairs) if pairs else 0.5,
        precision_recall,
        coverage,
    )


def as_tuple(measures):
    return (measures.aurc, measures.eaurc, measures.augrc, measures.auroc, measures.aupr, measures.coverage)


@pytest.mark.parametrize("precision", [0.3, 0.5, 0.75, 1.0])
@pytest.mark.parametrize(("queries", "values"), [(1, None), (2, 1), (7, 2), (8, 3), (9, None), (7, 1), (40, None)])
def test_measures_equal_the_oracle(queries, values, precision):
    for seed in range(2):
        uncertainty, hit = random_scores(seed, queries, values)
        expected = oracle(uncertainty.tolist(), hit.tolist(), precision)
        assert as_tuple(measure(uncertainty, hit, precision)) == pytest.approx(expected, abs=1e-12)


def test_aurc_of_ties_is_the_mean_over_random_orders():
    uncertainty, hit = random_scores(1, 80, values=4)
    rng = np.random.default_rng(0)
    order = np.lexsort((rng.random((2000, 80)), np.tile(uncertainty, (2000, 1))))
    shuffled = (np.cumsum(~hit[order], axis=1) / np.arange(1, 81)).mean(axis=1)
    assert measure(uncertainty, hit).aurc == pytest.approx(shuffled.mean(), abs=5 * shuffled.std() / 2000**0.5)


@pytest.mark.parametrize("values", [None, 3, 20])
def test_auroc_and_aupr_equal_those_of_scikit_learn(values):
    for seed in range(2):
        uncertainty, hit = random_scores(seed, 500, values)
        measures = measure(uncertainty, hit)
        assert measures.auroc == pytest.approx(metrics.roc_auc_score(~hit, uncertainty), abs=1e-12)
        assert measures.aupr == pytest.approx(metrics.average_precision_score(~hit, uncertainty), abs=1e-12)


def test_augrc_follows_the_formula_of_its_paper():
    uncertainty, hit = random_scores(3, 300, values=25)
    measures, accuracy = measure(uncertainty, hit), hit.mean()
    expected = (1 - measures.auroc) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2
    assert measures.augrc == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("uncertainty", "hit", "expected"),
    [
        ([0.1, 0.2, 0.3], [1, 1, 1], (0, 0, 0, 0.5, 0, 1)),
        ([0.1, 0.2, 0.3], [0, 0, 0], (1, 0, 0.5, 0.5, 1, 0)),
        ([0.4, 0.4, 0.4, 0.4], [1, 0, 1, 1], (0.25, 0.25 - 1 / 16, 0.125, 0.5, 0.25, 1)),
        ([0.5], [1], (0, 0, 0, 0.5, 0, 1)),
        ([0.5], [0], (1, 0, 0.5, 0.5, 1, 0)),
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], (5 / 24, 0, 0.125, 1, 1, 0.5)),
        ([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], (19 / 24, 7 / 12, 0.375, 0, 5 / 12, 0)),
    ],
    ids=["all hits", "no hits", "constant", "one hit", "one miss", "perfect", "inverted"],
)
def test_degenerate_scores_have_the_expected_measures(uncertainty, hit, expected):
    assert as_tuple(measure(uncertainty, hit, 0.75)) == pytest.approx(expected)


def test_eaurc_is_the_excess_over_the_best_order():
    uncertainty, hit = random_scores(5, 200)
    best = measure(np.where(hit, 0.0, 1.0), hit)
    measures = measure(uncertainty, hit)
    assert best.eaurc == pytest.approx(0, abs=1e-12)
    assert measures.aurc - measures.eaurc == pytest.approx(best.aurc)


def test_coverage_does_not_split_ties_and_includes_an_exact_precision():
    uncertainty = np.repeat([0.1, 0.2, 0.3], [10, 10, 10])
    hit = np.concatenate([[True] * 9 + [False], [True] * 9 + [False], [False] * 10])
    assert measure(uncertainty, hit, 0.9).coverage == pytest.approx(20 / 30)
    hit[0] = False
    assert measure(uncertainty, hit, 0.9).coverage == 0


def test_measures_do_not_depend_on_the_order_of_queries():
    uncertainty, hit = random_scores(6, 300, values=9)
    shuffle = np.random.default_rng(0).permutation(300)
    assert measure(uncertainty, hit) == measure(uncertainty[shuffle], hit[shuffle])


@pytest.mark.parametrize(
    ("uncertainty", "hit", "precision", "message"),
    [
        ([], [], 0.9, "no queries"),
        ([0.1, np.nan], [1, 0], 0.9, "query number 1 is nan"),
        ([0.1, 0.2], [1], 0.9, "shape"),
        ([0.1, 0.2], [1, 0], 0, "precision is 0"),
        ([0.1, 0.2], [1, 0], 1.5, r"precision is 1\.5"),
    ],
)
def test_invalid_input_is_rejected(uncertainty, hit, precision, message):
    with pytest.raises(OvertopError, match=message):
        measure(uncertainty, hit, precision)
