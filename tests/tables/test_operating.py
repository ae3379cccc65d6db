import numpy as np
import pandas as pd

from overtop.tables.operating import operating_summary

ROW = {
    "direction": "t2i",
    "estimator": "max_softmax",
    "protocol": "corrected",
    "positives": "labelled",
    "form": "guaranteed_precision",
    "target": 0.9,
    "n_validation": 97,
    "n_needed": np.nan,
    "threshold": 0.2,
    "coverage": 0.25,
    "achieved": 0.93,
    "achieved_low": 0.89,
    "achieved_high": 0.96,
}


def summarise(**changes):
    return operating_summary(pd.DataFrame([ROW | changes]))


def test_answered_share_is_described_with_its_interval():
    [line] = summarise()
    assert line.endswith("R@1 of at least 0.9 by answering 25 % of the test queries, R@1 0.930 [0.890, 0.960]")


def test_too_few_validation_queries_are_named_with_the_number_that_is_needed():
    [line] = summarise(threshold=-np.inf, n_needed=470.0, coverage=0.0, achieved=np.nan)
    assert line.endswith("cannot be guaranteed by 97 validation queries; at least about 470 are needed")
    [line] = summarise(threshold=-np.inf, n_needed=np.inf, coverage=0.0, achieved=np.nan)
    assert line.endswith("cannot be guaranteed: it is reached at no coverage of 97 validation queries")


def test_other_forms_protocols_and_positives_are_left_out():
    others = ({"form": "conformal_set"}, {"protocol": "published"}, {"positives": "extended"})
    assert [summarise(**other) for other in others] == [[], [], []]


def test_one_estimator_is_described():
    table = pd.DataFrame([ROW | {"estimator": name} for name in ("energy", "max_softmax", "margin")])
    assert ["Max softmax" in line for line in operating_summary(table)] == [True]
    assert len(operating_summary(table[table["estimator"] != "max_softmax"])) == 1
