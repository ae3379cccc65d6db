from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from helpers.similarities import ranking_of
from overtop.errors import OvertopError
from overtop.estimators.evidence import Evidence
from overtop.estimators.registry import ESTIMATORS, Need, find, score
from overtop.figures import style
from overtop.radius.radii import Radii, Radius
from overtop.terms import DIRICHLET_TEMPERATURE, SOFTMAX_TEMPERATURE

QUERIES = 4


def evidence(samples=3, **without):
    """All that any estimator could ask for, but for what is named."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0.2, 0.05, (QUERIES, 9))
    found = ranking_of(scores, (SOFTMAX_TEMPERATURE, DIRICHLET_TEMPERATURE))
    votes = np.argsort(rng.random((QUERIES, samples, 9)), axis=2)[:, :, :5].astype(np.int32)
    radius = Radius(*rng.random((3, QUERIES)), np.ones(QUERIES, bool), np.zeros(QUERIES, np.int32))
    spread = {"published": rng.random(QUERIES), "corrected": rng.random(QUERIES)}
    known = {"ranking": replace(found, sample_top=votes), "radii": Radii(radius, radius), "spread": spread}
    return Evidence(**{**known, **without})


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_record(name, protocol):
    record = find(name)
    assert record.name == name
    for words in (record.label, record.symbol, record.equation, record.cost, record.reference):
        assert words
    assert "ranking" in record.needs
    assert record.needs <= set(get_args(Need))
    assert protocol in record.protocols
    uncertainty = score(name, evidence(), protocol)
    assert uncertainty.dtype == np.float64
    assert uncertainty.shape == (QUERIES,)
    assert np.isfinite(uncertainty).all()


def test_a_label_and_a_look_for_each():
    assert len({record.label for record in ESTIMATORS.values()}) == len(ESTIMATORS)
    assert set(ESTIMATORS) <= set(style._ESTIMATORS)


@pytest.mark.parametrize(
    "name", [n for n, record in ESTIMATORS.items() if not record.needs & {"votes"} and n != "probvlm"]
)
def test_a_clearer_winner_is_never_less_certain(name):
    # The same rivals, the top-1 further ahead.
    scores = np.tile(np.random.default_rng(1).normal(0.2, 0.02, 9), (3, 1))
    scores[:, 4] = [0.3, 0.35, 0.4]
    lengths = np.array([0.01, 0.02, 0.03])
    radius = Radius(lengths, lengths, lengths, np.ones(3, bool), np.full(3, 4, np.int32))
    found = Evidence(ranking_of(scores, (SOFTMAX_TEMPERATURE, DIRICHLET_TEMPERATURE)), Radii(radius, radius))
    assert (np.diff(score(name, found, "corrected")) < 0).all()


def test_unknown_name_lists_close_ones():
    with pytest.raises(OvertopError, match="'top1_similarty'; did you mean 'top1_similarity'"):
        find("top1_similarty")
    with pytest.raises(OvertopError, match="known: .*top1_similarity"):
        find("zebra")


@pytest.mark.parametrize("name", ["top1_consistency", "topk_consistency"])
def test_votes_need_samples(name):
    with pytest.raises(OvertopError, match=f"{name} needs several samples"):
        score(name, evidence(samples=1), "published")


@pytest.mark.parametrize("name", ["adversarial_pgd", "adversarial_linear", "adversarial_exact"])
def test_radius_is_asked_for(name):
    with pytest.raises(OvertopError, match=f"{name} needs the radii"):
        score(name, evidence(radii=None), "published")


def test_published_space_may_not_exist():
    known = evidence()
    without = replace(known, radii=Radii(None, known.radii.corrected))
    assert score("adversarial_pgd", without, "corrected").shape == (QUERIES,)
    with pytest.raises(OvertopError, match="differ in dimension"):
        score("adversarial_pgd", without, "published")


def test_an_adapter_is_asked_for():
    with pytest.raises(OvertopError, match="probvlm needs a posterior with an adapter"):
        score("probvlm", evidence(spread=None), "corrected")


def test_unknown_protocol():
    with pytest.raises(OvertopError, match="'ours'.*published or corrected"):
        score("top1_similarity", evidence(), "ours")
