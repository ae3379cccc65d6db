"""How far the softmax over the items found can be from that over the gallery, and the warning about it."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from helpers.rankings import make_ranking
from overtop.retrieval.normalisation import NormalisedRanking
from overtop.retrieval.temperature import Temperatures
from overtop.retrieval.truncation import largest_errors, log_truncation

TEMPERATURES = Temperatures(0.02, 0.07)
QUERIES = 200


def ranking_with_bounds(softmax=0.0, dirichlet=0.0, normalised=0.0):
    """A ranking of QUERIES queries with equal bounds at both temperatures and of one normalisation."""
    scores = np.random.default_rng(0).normal(0.2, 0.03, (QUERIES, 30))
    bounds = np.tile([softmax, dirichlet], (QUERIES, 1)).astype(float)
    ranking = make_ranking(scores, (0.02, 0.07))
    of_bank = NormalisedRanking(np.full(QUERIES, np.log(2)), ranking.top_ids, np.full(QUERIES, normalised))
    return replace(ranking, truncation_bound=bounds, normalised={"bank_nnn": of_bank})


def test_errors_follow_from_the_bounds():
    ranking = ranking_with_bounds(0.1, 0.2, 0.3)
    errors = largest_errors(ranking, TEMPERATURES)
    probability = np.exp(-ranking.group_log_partition[:, 0])
    np.testing.assert_allclose(errors["max_softmax"], probability * (1 - np.exp(-0.1)))
    np.testing.assert_allclose(errors["dirichlet"], 1 - np.exp(-0.2))
    np.testing.assert_allclose(errors["bank_nnn"], 0.5 * (1 - np.exp(-0.3)))


def test_exact_ranking_has_no_errors(caplog):
    ranking = replace(ranking_with_bounds(), truncation_bound=np.empty((0, 0)))
    ranking = replace(ranking, normalised={"bank_nnn": ranking.normalised["bank_nnn"]._replace(truncation_bound=None)})
    assert largest_errors(ranking, TEMPERATURES) == {}
    log_truncation({"t2i": ranking}, {"t2i": TEMPERATURES}, 50)
    assert caplog.records == []


def test_bounds_are_logged_and_small_ones_give_no_warning(caplog):
    with caplog.at_level(logging.INFO):
        log_truncation({"t2i": ranking_with_bounds(0.009, 0.009, 0.019)}, {"t2i": TEMPERATURES}, 50)
    assert {record.levelname for record in caplog.records} == {"INFO"}
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(":")[0] for line in lines] == ["t2i, max_softmax", "t2i, dirichlet", "t2i, bank_nnn"]
    assert lines[1].endswith("can change it by at most 0.009 (median of the queries: 0.009)")


@pytest.mark.parametrize(("n_large", "expected"), [(2, None), (3, "bank_nnn (up to 2 % of the queries)")])
def test_warning_needs_more_than_one_query_in_a_hundred(n_large, expected, caplog):
    ranking = ranking_with_bounds()
    bound = ranking.normalised["bank_nnn"].truncation_bound.copy()
    bound[:n_large] = 1.0
    ranking = replace(ranking, normalised={"bank_nnn": ranking.normalised["bank_nnn"]._replace(truncation_bound=bound)})
    exact = ranking_with_bounds()
    log_truncation({"t2i": ranking, "i2t": exact}, dict.fromkeys(("t2i", "i2t"), TEMPERATURES), 50)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    if expected is None:
        assert warnings == []
    else:
        [warning] = warnings
        assert expected in warning
        assert warning.endswith("raise ranking.top (now 50), or set ranking.search to stream")
        assert "dirichlet" not in warning
