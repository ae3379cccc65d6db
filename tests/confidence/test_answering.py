import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ks_2samp, norm

from overtop.confidence.answering import (
    COLUMNS,
    answer_queries,
    batch_warnings,
    choose_answered,
    describe_promise,
    row_warnings,
    similarity_drift,
)
from overtop.confidence.fitting import fit_model, model_without_labels
from overtop.confidence.model import ModelFacts, Threshold
from overtop.errors import OvertopError

FACTS = ModelFacts(gallery_size=1000, gallery_fingerprint="abc", encoder="ViT-B-32")


@pytest.fixture(scope="module")
def labelled():
    """Uncertainty, similarity and hits of labelled queries."""
    rng = np.random.default_rng(0)
    uncertainty = rng.random(1000)
    return uncertainty, rng.normal(0.3, 0.05, size=1000), rng.random(1000) > uncertainty


@pytest.fixture(scope="module")
def model(labelled):
    uncertainty, similarity, hit = labelled
    return fit_model({"max_softmax": uncertainty}, similarity, hit, precisions=[0.8, 0.7], facts=FACTS)


UNLABELLED = model_without_labels("max_softmax", FACTS)


def answer(model, uncertainty, similarity=None, **settings):
    if similarity is None:  # as those of the labelled queries
        similarity = norm.ppf((np.arange(len(uncertainty)) + 0.5) / len(uncertainty), 0.3, 0.05)
    ids = [f"q{row}" for row in range(len(uncertainty))]
    return answer_queries(model, uncertainty, similarity, ids, ids[::-1], **settings)


def test_answers_have_the_probability_and_the_decision_of_the_model(model):
    uncertainty = np.linspace(0, 1, 11)
    answers = answer(model, uncertainty)
    assert list(answers.columns) == COLUMNS
    assert answers["query"].tolist() == answers["top1"].tolist()[::-1] == [f"q{row}" for row in range(11)]
    np.testing.assert_array_equal(answers["p_right"], model.mapping.probability(uncertainty))
    np.testing.assert_array_equal(answers["act"], uncertainty < model.threshold(0.8).threshold)
    assert answers["act"].dtype == bool
    assert 0 < answers["act"].sum() < 11
    assert (answers["warning"] == "").all()


def test_precision_selects_the_threshold(model):
    uncertainty = np.linspace(0, 1, 101)
    act = answer(model, uncertainty, precision=0.7)["act"]
    np.testing.assert_array_equal(act, uncertainty < model.threshold(0.7).threshold)
    assert act.sum() > answer(model, uncertainty)["act"].sum()


def test_uncertainty_equal_to_the_threshold_is_not_acted_on(model):
    threshold = model.threshold(0.8).threshold
    assert answer(model, np.array([threshold, np.nextafter(threshold, 0)]))["act"].tolist() == [False, True]


def test_coverage_acts_on_the_most_certain_share():
    uncertainty = np.random.default_rng(1).permutation(10) / 10
    act = answer(UNLABELLED, uncertainty, coverage=0.8)["act"].to_numpy()
    assert sorted(uncertainty[act]) == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


def test_coverage_does_not_separate_equal_uncertainties():
    uncertainty = np.array([0.1, 0.2, 0.2, 0.2, 0.9])
    assert choose_answered(UNLABELLED, uncertainty, coverage=0.6).tolist() == [True, False, False, False, False]
    assert choose_answered(UNLABELLED, uncertainty, coverage=1.0).all()


def test_model_without_labels_acts_on_nothing():
    answers = answer(UNLABELLED, np.array([0.0, 0.4]))
    assert answers["act"].tolist() == [False, False]
    assert answers["p_right"].tolist() == [1.0, 0.6]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": 0.9}, "precision 0.9: this confidence model has thresholds for 0.8, 0.7"),
        ({"precision": 0.8, "coverage": 0.5}, "give a precision or a coverage, not both"),
        ({"coverage": 0.0}, "coverage is 0.0; give a share above 0"),
        ({"coverage": 1.2}, "coverage is 1.2"),
    ],
)
def test_invalid_request_is_an_error(model, settings, message):
    with pytest.raises(OvertopError, match=message):
        answer(model, np.array([0.5]), **settings)


def test_invalid_arrays_are_an_error_that_names_the_query(model):
    with pytest.raises(OvertopError, match="the uncertainty of query 'q1' is nan"):
        answer(model, np.array([0.5, np.nan]))
    with pytest.raises(OvertopError, match="the similarity of query 'q0' is inf"):
        answer(model, np.array([0.5]), np.array([np.inf]))
    with pytest.raises(OvertopError, match=r"uncertainty has shape \(2,\), similarity \(1,\), with 2 queries"):
        answer(model, np.array([0.5, 0.5]), np.array([0.3]))


def test_similarity_outside_the_labelled_range_is_a_warning_of_its_row(model, labelled):
    similarity = labelled[1]
    low, high = np.quantile(similarity, [0.005, 0.995])
    rows = [similarity.min() - 0.01, low - 1e-6, low + 1e-6, high - 1e-6, high + 1e-6, similarity.max() + 0.01]
    assert row_warnings(model, np.array(rows)) == [
        f"similarity {rows[0]:.3f} is below that of all of the labelled queries",
        f"similarity {rows[1]:.3f} is below that of 99.5 % of the labelled queries",
        "",
        "",
        f"similarity {rows[4]:.3f} is above that of 99.5 % of the labelled queries",
        f"similarity {rows[5]:.3f} is above that of all of the labelled queries",
    ]


def test_ties_at_the_top_are_a_warning_of_their_row():
    assert row_warnings(UNLABELLED, np.array([0.3, 0.3]), np.array([1, 3])) == [
        "",
        "3 gallery items are tied for the top-1",
    ]


def test_drift_has_the_distance_and_p_value_of_scipy(model, labelled):
    new = np.random.default_rng(2).normal(0.29, 0.05, size=300)
    expected = ks_2samp(new, labelled[1], method="asymp")
    distance, p_value = similarity_drift(model, new)
    assert distance == pytest.approx(expected.statistic, abs=0.02)  # the stored quantiles are 2.5 % apart
    assert p_value == pytest.approx(expected.pvalue, rel=1, abs=1e-3)


def test_shifted_batch_is_warned_about_and_one_like_the_labelled_is_not(model):
    rng = np.random.default_rng(3)
    (text,) = batch_warnings(model, rng.normal(0.26, 0.05, size=200))
    assert text.startswith("these queries are unlike the labelled ones: their similarities are lower (distance")
    (text,) = batch_warnings(model, rng.normal(0.34, 0.05, size=200))
    assert "are higher" in text
    assert sum(bool(batch_warnings(model, rng.normal(0.3, 0.05, size=200))) for _ in range(100)) <= 2
    assert batch_warnings(model, np.array([0.3])) == []


def test_difference_that_is_significant_but_small_is_no_warning(model):
    new = np.random.default_rng(4).normal(0.304, 0.05, size=100_000)
    assert similarity_drift(model, new)[0] < 0.1
    assert batch_warnings(model, new) == []


def test_other_gallery_is_one_warning_and_does_not_change_the_answers(model):
    uncertainty = np.linspace(0, 1, 11)
    with pytest.warns(
        UserWarning, match="not the gallery that the confidence model was fitted with: nothing is"
    ) as caught:
        answers = answer(model, uncertainty, gallery_fingerprint="other")
    assert len(caught) == 1
    assert (answers["warning"] == "").all()
    np.testing.assert_array_equal(answers["act"], answer(model, uncertainty)["act"])


def test_same_or_unknown_gallery_is_no_warning(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer(model, np.array([0.5]), gallery_fingerprint="abc")
        answer(model, np.array([0.5]))
        unknown = replace(model, facts=replace(FACTS, gallery_fingerprint=None))
        answer(unknown, np.array([0.5]), gallery_fingerprint="other")


def test_gallery_of_one_item_is_a_warning():
    (text,) = batch_warnings(model_without_labels("max_softmax", ModelFacts(gallery_size=1)), np.array([0.3]))
    assert text.startswith("the gallery has one item")


def test_promise_states_precision_probability_and_conditions(model):
    coverage = 100 * model.threshold(0.8).coverage
    assert describe_promise(model, gallery_fingerprint="abc") == (
        "with probability 0.95, at least 80 % of the answers that are acted on are right (from 1,000 labelled queries, "
        f"of which {coverage:.0f} % are acted on), for new queries like these, against the same gallery (1,000 items) "
        "and the encoder ViT-B-32"
    )
    assert "at least 70 %" in describe_promise(model, 0.7)


@pytest.mark.parametrize(
    ("changes", "fingerprint", "beginning"),
    [
        ({"thresholds": ()}, None, "no labels: nothing is promised"),
        ({}, "other", r"nothing is promised: the model was fitted with another gallery \(1,000 items\)"),
        (
            {"thresholds": (Threshold(0.8, -np.inf, 0.0),)},
            None,
            "nothing is promised at precision 0.8: 1,000 labelled queries were not enough",
        ),
    ],
)
def test_nothing_is_promised_without_its_conditions(model, changes, fingerprint, beginning):
    text = describe_promise(replace(model, **changes), gallery_fingerprint=fingerprint)
    assert text.startswith(beginning.replace("\\", ""))


def test_promise_of_an_unknown_precision_is_an_error(model):
    with pytest.raises(OvertopError, match="precision 0.9"):
        describe_promise(model, 0.9)
