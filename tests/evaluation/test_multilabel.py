import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from overtop.config.evaluation import BootstrapSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.multilabel import evaluate_multilabel, mean_average_precision, precision_recall_at


def make_labels(n_images, n_classes, seed=0, values=None):
    """Return scores (N, C), perhaps of few distinct values, and labels: none to many per image, none for class 1."""
    rng = np.random.default_rng(seed)
    labels = rng.random((n_images, n_classes)) < 0.25
    labels[:, 1] = False
    scores = labels + 1.5 * rng.random((n_images, n_classes))
    return (scores if values is None else np.round(scores * values)), labels


def once(n_images):
    return np.ones((1, n_images))


def precision_recall_by_loops(scores, labels, top=3):
    """Overall and per class, for one weighting, by counting."""
    n_images, n_classes = labels.shape
    right, given, positive = np.zeros(n_classes), np.zeros(n_classes), labels.sum(axis=0)
    for i in range(n_images):
        best = sorted(range(n_classes), key=lambda c: (-scores[i, c], c))[:top]
        for c in best:
            given[c] += 1
            right[c] += labels[i, c]
    classes = [c for c in range(n_classes) if positive[c]]
    overall = right.sum() / given.sum(), right.sum() / positive.sum()
    per_class = (
        np.mean([right[c] / given[c] if given[c] else 0.0 for c in classes]),
        np.mean([right[c] / positive[c] for c in classes]),
    )
    return [v for p, r in (overall, per_class) for v in (p, r, 2 * p * r / (p + r) if p + r else 0.0)]


@pytest.mark.parametrize(("n_images", "n_classes", "values"), [(40, 6, None), (40, 6, 3), (40, 2, None), (1, 5, None)])
def test_measures_equal_scikit_learn_and_loops(n_images, n_classes, values):
    scores, labels = make_labels(n_images, n_classes, values=values)
    labels[0, 0] = True
    expected = [average_precision_score(labels[:, c], scores[:, c]) for c in range(n_classes) if labels[:, c].any()]
    assert len(expected) < n_classes
    np.testing.assert_allclose(mean_average_precision(scores, labels, once(n_images)), [np.mean(expected)])
    measures = precision_recall_at(scores, labels, once(n_images))
    assert list(measures) == [
        "precision_at_3", "recall_at_3", "f1_at_3", "class_precision_at_3", "class_recall_at_3", "class_f1_at_3",
    ]  # fmt: skip
    np.testing.assert_allclose(np.concatenate(list(measures.values())), precision_recall_by_loops(scores, labels))


def test_overall_measures_are_scikit_learns_micro_averages():
    scores, labels = make_labels(50, 7)
    given = np.zeros_like(labels)
    np.put_along_axis(given, np.argsort(-scores, axis=1)[:, :3], True, axis=1)
    micro = precision_recall_fscore_support(labels, given, average="micro", zero_division=0)[:3]
    measures = precision_recall_at(scores, labels, once(50))
    np.testing.assert_allclose([measures[f"{name}_at_3"][0] for name in ("precision", "recall", "f1")], micro)


def test_resamples_have_the_measures_of_the_repeated_images():
    scores, labels = make_labels(12, 5, seed=3)  # classes lose their few positives in some resamples
    labels[:, 2] = np.arange(12) == 4
    weights = draw_cluster_weights(12, 20, seed=3)
    assert (weights[:, 4] == 0).any()
    measures = precision_recall_at(scores, labels, weights)
    average = mean_average_precision(scores, labels, weights)
    for number, row in enumerate(weights):
        repeated, of_repeated = np.repeat(scores, row, axis=0), np.repeat(labels, row, axis=0)
        classes = np.flatnonzero(of_repeated.any(axis=0))
        expected = np.mean([average_precision_score(of_repeated[:, c], repeated[:, c]) for c in classes])
        assert average[number] == pytest.approx(expected)
        values = [value[number] for value in measures.values()]
        np.testing.assert_allclose(values, precision_recall_by_loops(repeated, of_repeated))


def test_images_with_fewer_labels_limit_the_precision():
    labels = np.eye(4, dtype=bool)
    measures = precision_recall_at(labels.astype(float), labels, once(4))
    assert measures["precision_at_3"][0] == pytest.approx(1 / 3)
    assert measures["recall_at_3"][0] == 1


def test_weightings_without_positives_are_not_a_number():
    labels = np.array([[True, False], [False, False]])
    weights = np.array([[0, 2]])
    assert np.isnan(mean_average_precision(np.zeros((2, 2)), labels, weights)).all()
    assert np.isnan(precision_recall_at(np.zeros((2, 2)), labels, weights)["recall_at_3"]).all()


def test_table_has_intervals_and_the_softmax_changes_only_the_average_precision():
    rng = np.random.default_rng(5)
    scores, labels = make_labels(80, 6, seed=5)
    similarity = 0.02 * scores + rng.normal(size=(80, 1))  # an offset per image, which the softmax removes
    spec = BootstrapSpec(resamples=200)
    table = evaluate_multilabel(similarity, labels, 0.01, spec, seed=1).set_index("measure")
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert table.loc["map", "value"] < table.loc["map_softmax", "value"] - 0.1
    assert set(table["n_images"]) == {80}
    assert set(table["n_classes"]) == {5}
    without = evaluate_multilabel(similarity, labels, None, spec, seed=1).set_index("measure")
    assert list(without.index) == [name for name in table.index if name != "map_softmax"]
    np.testing.assert_array_equal(without.to_numpy(), table.drop("map_softmax").to_numpy())


def test_labels_that_cannot_be_evaluated_are_errors():
    with pytest.raises(OvertopError, match="no image has a label"):
        evaluate_multilabel(np.zeros((3, 2)), np.zeros((3, 2), bool), None, BootstrapSpec(), 0)
    with pytest.raises(OvertopError, match=r"shape \(3, 2\)"):
        evaluate_multilabel(np.zeros((3, 2)), np.zeros((2, 2), bool), None, BootstrapSpec(), 0)
