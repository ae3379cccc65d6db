import numpy as np
import pytest

from overtop.estimators.transductive import TRANSDUCTIVE, merge_groups

TEMPERATURE = 0.05


def plain_uncertainty(name, similarity, query):
    """An estimator for one query, by loops over its definition."""
    size, items = len(similarity), range(similarity.shape[1])
    best = max(items, key=lambda item: (similarity[query, item], -item))
    if name == "csls_margin":

        def mean_of_best(scores):
            return np.mean(sorted(scores, reverse=True)[:10])

        csls = [
            2 * similarity[query, j] - mean_of_best(similarity[query]) - mean_of_best(similarity[:, j]) for j in items
        ]
        rivals = [csls[j] for j in items if j != best]
        return 1 - (csls[best] - max(rivals)) if rivals else 0.0
    if name == "dual_softmax":
        weights = np.exp(similarity / TEMPERATURE)
        return 1 - weights[query, best] ** 2 / weights[query].sum() / weights[:, best].sum()
    if name == "reciprocal_rank":
        return 1 - 1 / (1 + sum(similarity[other, best] > similarity[query, best] for other in range(size)))
    plan = np.exp(similarity / TEMPERATURE)
    for _ in range(50):
        plan = plan / plan.sum(axis=0, keepdims=True)
        plan = plan / plan.sum(axis=1, keepdims=True)
    return 1 - plan[query, best]


def make_similarity(case):
    rng = np.random.default_rng(0)
    return {
        "more items": rng.normal(0.2, 0.1, (14, 25)),
        "more queries": rng.normal(0.2, 0.1, (25, 14)),
        "ties": rng.integers(0, 3, (12, 6)) / 10,
        "equal queries": np.tile(rng.normal(0.2, 0.1, 7), (5, 1)),
        "one query": rng.normal(0.2, 0.1, (1, 6)),
        "one item": rng.normal(0.2, 0.1, (6, 1)),
    }[case]


@pytest.mark.parametrize("name", TRANSDUCTIVE)
@pytest.mark.parametrize("case", ["more items", "more queries", "ties", "equal queries", "one query", "one item"])
def test_estimator_equals_its_definition(case, name):
    similarity = make_similarity(case)
    expected = [plain_uncertainty(name, similarity, query) for query in range(len(similarity))]
    np.testing.assert_allclose(TRANSDUCTIVE[name](similarity.copy(), TEMPERATURE), expected, atol=1e-9)


@pytest.mark.parametrize("name", TRANSDUCTIVE)
def test_similarities_are_not_changed_and_low_temperatures_do_not_overflow(name):
    similarity = np.random.default_rng(1).uniform(-1, 1, (20, 30))
    before = similarity.copy()
    uncertainty = TRANSDUCTIVE[name](similarity, 0.005)
    assert np.isfinite(uncertainty).all()
    np.testing.assert_array_equal(similarity, before)


def test_group_has_the_similarity_of_its_best_item():
    similarity = np.array([[0.1, 0.4, 0.3, 0.2], [0.9, 0.0, 0.5, 0.6]])
    np.testing.assert_array_equal(merge_groups(similarity, np.array([2, 0, 2, 0])), [[0.4, 0.3], [0.6, 0.9]])
    np.testing.assert_array_equal(merge_groups(similarity, np.arange(4)), similarity)
