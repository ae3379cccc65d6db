import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_tables import make_metrics
from overtop.report.rows import default_methods, default_rows
from overtop.report.verdicts import make_verdicts
from overtop.report.warnings import operating_warnings


def make_rows(**columns):
    """Rows of one posterior and the estimators top-1 similarity and max softmax, with `columns` replaced."""
    table = make_metrics(kinds=("deterministic",), protocols=("published", "corrected"))
    table["estimator"] = table["estimator"].replace("adversarial_pgd", "max_softmax")
    values = {"split": "test", "coverage": 0.25, "coverage_low": 0.2, "coverage_high": 0.3, "aurc": 0.2} | columns
    return default_rows([table.assign(**values)])


def make_operating(**columns):
    """One operating point of each direction."""
    point = {"dataset": "shapes", "split": "test", "posterior": "my-deterministic", "estimator": "max_softmax"}
    point |= {"protocol": "corrected", "positives": "labelled", "form": "guaranteed_precision", "target": 0.9}
    point |= {
        "confidence": 0.95,
        "n_validation": 400,
        "n_test": 350,
        "threshold": 0.4,
        "coverage": 0.2,
        "achieved": 0.93,
    }
    return pd.DataFrame([point | columns | {"direction": direction} for direction in ("t2i", "i2t")])


def test_verdict_has_recall_and_the_share_that_can_be_answered():
    rows = make_rows(aurc_low=0.1, aurc_high=0.3)
    rows.loc[rows["estimator"] == "top1_similarity", "aurc"] = 0.15
    verdict, _ = make_verdicts(rows, 0.9)
    assert (verdict.panel, verdict.title) == ("shapes/test/t2i", "Shapes, text to image (2,000 queries)")
    assert verdict.sentences == [
        "R@1 is 0.333 [0.233, 0.433] (deterministic): the top-1 is right for 33.3 % of 2,000 queries.",
        "Answering the 25.0 % [20.0 %, 30.0 %] of queries that Max softmax is most certain of keeps R@1 at 0.9 or "
        "above; that is measured on these queries and no promise for new ones. Chosen on these queries, Top-1 "
        "similarity has the best AURC, 0.150 [0.100, 0.300]; Max softmax has 0.200 [0.100, 0.300].",
    ]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"coverage": 0.0, "coverage_low": 0.0}, "No threshold on Max softmax reaches R@1 0.9 on these queries."),
        ({"coverage": 1.0}, "All queries can be answered at R@1 0.9; Max softmax is not needed for that."),
        ({"coverage_low": 0.0}, "It may be none, as the interval reaches 0."),
    ],
)
def test_verdict_says_plainly_what_cannot_be_answered(columns, sentence):
    verdict, _ = make_verdicts(make_rows(**columns), 0.9)
    assert sentence in verdict.sentences[1]


def test_promise_of_a_threshold_from_other_queries_is_a_sentence_of_its_own():
    verdict, _ = make_verdicts(make_rows(), 0.9, make_operating())
    assert verdict.sentences[2] == (
        "A threshold chosen on 400 other queries, one per image, promises R@1 0.9 with confidence 0.95: it answers "
        "20.0 % of 350 queries here, of which 93.0 % are right."
    )


@pytest.mark.parametrize(("n_needed", "end"), [(np.inf, ""), (1300.0, "; at least about 1,300 would be needed")])
def test_threshold_of_minus_infinity_promises_nothing(n_needed, end):
    points = make_operating(threshold=-np.inf, coverage=0.0, achieved=np.nan, n_validation=20, n_needed=n_needed)
    verdict, _ = make_verdicts(make_rows(), 0.9, points)
    assert verdict.sentences[2] == f"With 20 other queries, one per image, no threshold can promise R@1 0.9{end}."
    assert operating_warnings(points) == [
        f"Shapes, {direction}: thresholds were chosen on 20 queries, one per image; no R@1 of 0.9 can be promised with "
        "fewer than 29."
        for direction in ("text to image", "image to text")
    ]


@pytest.mark.parametrize("change", [{"split": "val"}, {"posterior": "other"}, {"estimator": "margin"}, {"target": 0.8}])
def test_operating_points_of_others_are_no_promise(change):
    verdict, _ = make_verdicts(make_rows(), 0.9, make_operating(**change))
    assert len(verdict.sentences) == 2


def test_recall_at_chance_leaves_only_that_to_say():
    verdict, _ = make_verdicts(make_rows(recall_at_1_low=0.0), 0.9, make_operating())
    assert verdict.sentences == [
        "R@1 is 0.333 [0.000, 0.433] (deterministic), which is not above chance (1 in 400).",
        "Nothing else that is shown of this data set and direction means anything.",
    ]


def test_default_estimator_is_that_of_confidence_models():
    panel = make_rows().query("direction == 't2i'")
    assert default_methods(panel)["estimator"].tolist() == ["top1_similarity", "max_softmax"]
    banked = panel.assign(estimator=panel["estimator"].replace("top1_similarity", "bank_nnn"))
    assert default_methods(banked)["estimator"].tolist() == ["max_softmax", "bank_nnn"]
    others = panel.assign(estimator=["margin", "entropy"])
    assert default_methods(others)["estimator"].tolist() == ["margin"]
