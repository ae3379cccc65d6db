"""Bank estimators: the probability of the top-1 by normalised similarities, against plain loops in float64."""

import math
from dataclasses import replace

import numpy as np
import pytest

from helpers.rankings import make_estimator_inputs, make_ranking
from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import compute_uncertainty, score_direction
from overtop.retrieval.exact import rank
from overtop.retrieval.normalisation import Normalisation, NormalisedRanking
from overtop.storage.shards import ArraySource
from overtop.storage.split import Split
from overtop.terms import BANK_ESTIMATORS


def normalised(rng, queries=5):
    return NormalisedRanking(rng.exponential(size=queries), np.zeros((queries, 1), np.int32))


@pytest.mark.parametrize("name", BANK_ESTIMATORS)
def test_uncertainty_is_one_minus_the_probability(name):
    rng = np.random.default_rng(0)
    inputs = make_estimator_inputs(rng.normal(size=(5, 4)), 0.1)
    by_name = {other: normalised(rng) for other in BANK_ESTIMATORS}
    ranking = replace(inputs.ranking, normalised=by_name)
    uncertainty = compute_uncertainty(name, EstimatorInputs(ranking), "corrected")
    expected = [1 - math.exp(-x) for x in by_name[name].neg_log_probability]
    np.testing.assert_allclose(uncertainty, expected, rtol=1e-12)


@pytest.mark.parametrize("name", BANK_ESTIMATORS)
def test_ranking_without_a_bank_is_refused_with_the_fix(name):
    inputs = make_estimator_inputs(np.eye(2), 0.1)
    with pytest.raises(OvertopError, match=f"{name} needs a bank: declare one of another split"):
        compute_uncertainty(name, inputs, "corrected")


@pytest.mark.parametrize("name", BANK_ESTIMATORS)
def test_uncertainty_after_a_ranking_pass_equals_loops_over_groups(name):
    rng = np.random.default_rng(1)
    images, texts = (ArraySource([1 + 0.5 * rng.normal(size=(n, 6))]) for n in (6, 9))
    offsets, groups = rng.normal(0, 0.02, 9).astype(np.float32), np.array([0, 0, 0, 1, 1, 2, 3, 3, 4])
    rankings = rank(
        images, texts, 3, groups={"i2t": groups}, normalisations={"i2t": Normalisation(0.02, {name: offsets})}
    )
    uncertainty = compute_uncertainty(name, EstimatorInputs(rankings["i2t"]), "corrected")
    unit = [source.read(0, 0, source.n_items).astype(np.float64) for source in (images, texts)]
    unit = [vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in unit]
    for q, scores in enumerate((unit[0] @ unit[1].T).tolist()):
        top1 = max(range(9), key=lambda j: scores[j])
        weights = [math.exp((s - float(o)) / 0.02) for s, o in zip(scores, offsets, strict=True)]
        others = sum(w for w, group in zip(weights, groups, strict=True) if group != groups[top1])
        assert uncertainty[q] == pytest.approx(others / sum(weights), abs=1e-5)
        best = sorted(range(9), key=lambda j: -(scores[j] - float(offsets[j])))
        assert rankings["i2t"].normalised[name].top_ids[q].tolist() == best


@pytest.mark.parametrize("extended", [None, [np.array([0, 1]), np.array([1]), np.array([0, 2])]])
def test_rank_after_re_ranking_is_that_of_the_best_positive(extended):
    split = Split(["a", "b", "c"], [""] * 3, ["x", "y", "z"], ["words"] * 3, np.arange(3), extended)
    top_ids = {"bank_nnn": np.array([[1, 0], [1, 2], [0, 1]], np.int32), "bank_softmax": np.array([[0], [0], [2]])}
    normalised = {name: NormalisedRanking(np.ones(3), ids) for name, ids in top_ids.items()}
    ranking = replace(
        make_ranking(np.eye(3)), normalised=normalised, query_ids=split.caption_ids, gallery_ids=split.image_ids
    )
    names = ["top1_similarity", *top_ids]
    scores = score_direction(split, "t2i", EstimatorInputs(ranking), names, ["corrected"]).set_index("estimator")
    assert scores.loc["top1_similarity", ["reranked_rank", "reranked_rank_extended"]].isna().all(axis=None)
    assert scores.loc["bank_nnn", "reranked_rank"].tolist() == [2, 1, np.inf]
    assert scores.loc["bank_softmax", "reranked_rank"].tolist() == [1, np.inf, 1]
    if extended is None:
        assert scores["reranked_rank_extended"].isna().all()
    else:
        assert scores.loc["bank_nnn", "reranked_rank_extended"].tolist() == [1, 1, 1]
    assert scores["hit"].all()
