import numpy as np
import pytest

from overtop.errors import OvertopError
from overtop.estimators import ESTIMATORS, Evidence, find, score
from overtop.radius import Radii, Radius
from overtop.ranking import Ranking

QUERIES = 4


def ranking(samples):
    rng = np.random.default_rng(0)
    top_ids = np.argsort(rng.random((QUERIES, 9)), axis=1).astype(np.int32)
    sample_top = np.argsort(rng.random((QUERIES, samples, 9)), axis=2)[:, :, :5].astype(np.int32)
    scores = -np.sort(-rng.random((QUERIES, 9)), axis=1).astype(np.float32)
    names = [str(i) for i in range(9)]
    return Ranking(names[:QUERIES], names, top_ids, scores, sample_top)


RADIUS = Radius(*np.random.default_rng(1).random((3, QUERIES)), np.ones(QUERIES, bool), np.zeros(QUERIES, np.int32))
RADII = Radii(RADIUS, RADIUS)


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_record(name, protocol):
    record = find(name)
    assert record.name == name
    assert record.label
    assert record.symbol
    assert record.needs <= {"ranking", "votes", "radius"}
    assert protocol in record.protocols
    uncertainty = score(name, Evidence(ranking(3), RADII), protocol)
    assert uncertainty.dtype == np.float64
    assert uncertainty.shape == (QUERIES,)
    assert ((uncertainty >= 0) & (uncertainty <= 1)).all()


def test_all_six_are_there():
    assert list(ESTIMATORS) == [
        "top1_similarity",
        "top1_consistency",
        "topk_consistency",
        "adversarial_pgd",
        "adversarial_linear",
        "adversarial_exact",
    ]


def test_unknown_name_lists_close_ones():
    with pytest.raises(OvertopError, match="'top1_similarty'; did you mean 'top1_similarity'"):
        find("top1_similarty")
    with pytest.raises(OvertopError, match="known: .*top1_similarity"):
        find("zebra")


@pytest.mark.parametrize("name", ["top1_consistency", "topk_consistency"])
def test_votes_need_samples(name):
    with pytest.raises(OvertopError, match=f"{name} needs several samples"):
        score(name, Evidence(ranking(1), RADII), "published")


@pytest.mark.parametrize("name", ["adversarial_pgd", "adversarial_linear", "adversarial_exact"])
def test_radius_is_asked_for(name):
    with pytest.raises(OvertopError, match=f"{name} needs the radii"):
        score(name, Evidence(ranking(3)), "published")


def test_published_space_may_not_exist():
    without = Radii(None, RADIUS)
    assert score("adversarial_pgd", ranking(3), without, "corrected").shape == (QUERIES,)
    with pytest.raises(OvertopError, match="differ in dimension"):
        score("adversarial_pgd", ranking(3), without, "published")


def test_unknown_protocol():
    with pytest.raises(OvertopError, match="'ours'.*published or corrected"):
        score("top1_similarity", Evidence(ranking(3)), "ours")
