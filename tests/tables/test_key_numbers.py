import numpy as np
import pandas as pd
import pytest

from helpers.synthetic_tables import make_metrics
from overtop.tables.key_numbers import key_numbers, prefer_rows


@pytest.fixture
def table():
    return make_metrics(("shapes", "mscoco"), ("published", "corrected"), ("equal_width", "equal_count"))


def test_each_posterior_has_recall_and_aurc_of_the_shown_estimators_alone(table):
    numbers = key_numbers(table)
    assert {dataset: list(directions) for dataset, directions in numbers.items()} == {
        "shapes": ["t2i", "i2t"],
        "mscoco": ["t2i", "i2t"],
    }
    rows = table.query("dataset == 'shapes' and direction == 't2i' and kind == 'mc_dropout'")
    row = rows.query("protocol == 'corrected' and estimator == 'top1_similarity'").iloc[0]
    assert numbers["shapes"]["t2i"]["my-mc_dropout"] == {
        "recall_at_1": row["recall_at_1"],
        "aurc": {"top1_similarity": row["aurc"]},
    }


def test_posterior_of_the_published_protocol_alone_is_not_lost(table):
    table = table[(table["protocol"] == "corrected") | (table["kind"] == "deterministic")]
    table = table[(table["protocol"] == "published") | (table["kind"] != "deterministic")]
    assert list(key_numbers(table)["shapes"]["t2i"]) == ["my-deterministic", "my-mc_dropout"]


def test_number_that_is_not_defined_is_left_out(table):
    table["aurc"] = np.nan
    assert key_numbers(table)["shapes"]["i2t"]["my-mc_dropout"]["aurc"] == {}


def test_rows_of_the_preferred_values_are_taken_if_there_are_any():
    table = pd.DataFrame({"positives": ["extended", "labelled"], "protocol": ["published", "published"]})
    assert list(prefer_rows(table)["positives"]) == ["labelled"]
    assert list(prefer_rows(table[:1])["positives"]) == ["extended"]
