"""Warnings about a table of results."""

import pytest

from helpers.synthetic_tables import make_metrics
from overtop.tables.warnings import chance_warnings, tie_warnings

POSTERIORS = {"my-deterministic": "deterministic", "my-mc_dropout": "MC dropout"}


@pytest.fixture
def panel():
    metrics = make_metrics()
    return metrics[metrics["direction"] == "t2i"]


def test_gallery_of_one_image_is_at_chance_although_all_answers_are_right(panel):
    one = panel.assign(n_clusters=1, recall_at_1=1.0, recall_at_1_low=1.0, recall_at_1_high=1.0)
    [warning] = chance_warnings(one, POSTERIORS)
    assert warning.startswith("Shapes, text to image: R@1 is not above chance (1 in 1)")


def test_many_ties_are_a_warning_with_the_largest_number(panel):
    tied = panel.assign(n_tied=range(20, 20 + len(panel)), n_queries=2000)
    [warning] = tie_warnings(tied)
    assert f"the two best items of {19 + len(panel)} of 2,000 queries are equally similar" in warning


def test_few_ties_are_no_warning(panel):
    assert tie_warnings(panel.assign(n_tied=19, n_queries=2000)) == []
    assert tie_warnings(panel) == []
