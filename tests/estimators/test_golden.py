"""`protocol: published` compared with what the paper's released code returned on two sets of embeddings.

`synthetic12` is in `tests/golden`, `flickr8k_b32_noisy8` (real CLIP embeddings with noise, S = 8) in the data mirror.

The released rejection curve orders equal confidences by an unstable sort; ours is the mean over all orders. Where a cut
falls among equal confidences, the released value must lie between the best and the worst order.

The released `torch.topk` has no defined order among exact duplicates. Four top-5 consistencies depend on it; they are
computed for one of the orders that give the released values.
"""

import json
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import compute_uncertainty
from overtop.evaluation.calibration import measure_calibration
from overtop.evaluation.rejection import measure_rejection
from overtop.radius.compute import compute_radii
from overtop.radius.radii import Radii
from overtop.retrieval.duplicates import find_first_duplicates
from overtop.retrieval.exact import rank
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.relevance import best_rank
from overtop.storage.shards import ArraySource

COMMITTED = Path(__file__).resolve().parents[1] / "golden"
RELEASED_NAMES = {
    "top1_similarity": "top1similarity",
    "top1_consistency": "top1consistency",
    "topk_consistency": "top5consistency",
    "adversarial_linear": "adversarial_lin",
    "adversarial_pgd": "adversarial",
}
REJECTION_STEP = {"t2i": 500, "i2t": 100}
RECALL_KS = (1, 5, 10)
GOLDEN_SETS = ("synthetic12", "flickr8k_b32_noisy8")
DIRECTIONS = ("t2i", "i2t")
DUPLICATE_IMAGES = [3, 7]
"""Images of `synthetic12` with identical embeddings."""

CAPTIONS_THAT_DEPEND_ON_DUPLICATES = [19, 77, 927, 928]
"""Captions of `synthetic12` whose released top-5 consistency is not that of duplicates in the order of their index."""


@dataclass(frozen=True)
class GoldenSet:
    """One golden set and our results on its inputs.

    Attributes:
        released: arrays that the released code returned.
        recall: its recall by direction, at `RECALL_KS`.
        rankings: our rankings by direction, with the released order among duplicates.
        lengths: our radii by direction.
        positives: the (Q, N) labelled positives by direction.
    """

    released: dict[str, np.ndarray]
    recall: dict[str, list[float]]
    rankings: dict[str, Ranking]
    lengths: dict[str, Radii]
    positives: dict[str, csr_array]

    def uncertainty(self, estimator, direction):
        inputs = EstimatorInputs(self.rankings[direction], self.lengths[direction])
        return compute_uncertainty(estimator, inputs, "published")

    def ranks(self, direction):
        return best_rank(self.rankings[direction].top_ids, self.positives[direction])

    def expected(self, estimator, direction, quantity):
        return self.released[f"{RELEASED_NAMES[estimator]}/{direction}_{quantity}"]


@cache  # not a fixture of module scope: pytest computes those again for every indirect parameter
def load_golden_set(folder, name):
    inputs = np.load(folder / f"{name}_inputs.npz")
    released = dict(np.load(folder / f"{name}_expected.npz"))
    images, texts = ArraySource(list(inputs["image"])), ArraySource(list(inputs["text"]))
    rankings = rank(images, texts, top=20, device="cpu", block=128)
    lengths = compute_radii(images, texts, rankings, device="cpu")
    if name == "synthetic12":
        expected = released["top5consistency/t2i_confidence"]
        rankings["t2i"] = order_duplicates_as_released(rankings["t2i"], expected)
    image_of_caption = inputs["image_of_caption"]
    captions = np.arange(len(image_of_caption))
    positives = csr_array((np.ones(len(captions), bool), (captions, image_of_caption)), (len(captions), images.n_items))
    return GoldenSet(
        released, read_recall(folder, name, released), rankings, lengths, {"t2i": positives, "i2t": positives.T.tocsr()}
    )


def order_duplicates_as_released(ranking, expected):
    """Exchange `DUPLICATE_IMAGES` in the samples' top 5 so that top-5 consistencies equal the expected ones.

    Queries for which no order gives the expected value are left as they are.
    """
    sample_top = ranking.sample_top.copy()
    confidence = 1 - compute_uncertainty("topk_consistency", EstimatorInputs(ranking), "published")
    for query in np.flatnonzero(confidence != expected):
        orders = list(orders_of_duplicates(sample_top[query]))
        top_ids = np.repeat(ranking.top_ids[query, None], len(orders), axis=0)
        inputs = EstimatorInputs(replace(ranking, top_ids=top_ids, sample_top=np.array(orders)))
        same = np.flatnonzero(1 - compute_uncertainty("topk_consistency", inputs, "published") == expected[query])
        if same.size:
            sample_top[query] = orders[same[0]]
    return replace(ranking, sample_top=sample_top)


def exchange_duplicates(items):
    first, second = DUPLICATE_IMAGES
    return np.where(items == first, second, np.where(items == second, first, items))


def orders_of_duplicates(sample_top):
    """Yield one query's items (S, k) with the duplicates exchanged in every subset of the samples that have them."""
    has_duplicate = np.isin(sample_top, DUPLICATE_IMAGES).any(axis=1)
    for exchanged in product(*([False, True] if has else [False] for has in has_duplicate)):
        yield np.where(np.array(exchanged)[:, None], exchange_duplicates(sample_top), sample_top)


def read_recall(folder, name, released):
    if "recall" in released:
        values = released["recall"].tolist()
    else:
        summary = json.loads((folder / f"{name}_summary.json").read_text())["recall"]
        values = [summary[f"{task}_retrieval_recall@{k}"] for task in ("image", "text") for k in RECALL_KS]
    return {"t2i": values[:3], "i2t": values[3:]}


@pytest.fixture(params=GOLDEN_SETS)
def golden(request):
    name = request.param
    folder = COMMITTED if name == "synthetic12" else request.getfixturevalue("mirror") / "golden"
    return load_golden_set(folder, name)


every_case = pytest.mark.parametrize(
    ("golden", "estimator", "direction"), list(product(GOLDEN_SETS, RELEASED_NAMES, DIRECTIONS)), indirect=["golden"]
)


@every_case
def test_confidence_of_every_query_equals_the_released_one(golden, estimator, direction):
    confidence = 1 - golden.uncertainty(estimator, direction)
    expected = golden.expected(estimator, direction, "confidence")
    np.testing.assert_array_equal(confidence, np.float32(confidence))
    np.testing.assert_allclose(confidence, expected, atol=1e-5, rtol=0)
    if "consistency" in estimator:
        np.testing.assert_array_equal(confidence, expected)


@pytest.mark.parametrize("golden", ["synthetic12"], indirect=True)
def test_only_the_order_of_duplicates_differs_from_the_released_one(golden):
    inputs = np.load(COMMITTED / "synthetic12_inputs.npz")
    images, texts = ArraySource(list(inputs["image"])), ArraySource(list(inputs["text"]))
    first, second = DUPLICATE_IMAGES
    assert np.flatnonzero(find_first_duplicates(images) != np.arange(images.n_items)).tolist() == [second]
    sample_top = rank(images, texts, top=20, device="cpu", block=128)["t2i"].sample_top
    released = golden.rankings["t2i"].sample_top
    differs = (sample_top != released).any(axis=(1, 2))
    assert np.flatnonzero(differs).tolist() == CAPTIONS_THAT_DEPEND_ON_DUPLICATES
    in_released_order = (released == sample_top).all(axis=2)
    np.testing.assert_array_equal(
        released, np.where(in_released_order[..., None], sample_top, exchange_duplicates(sample_top))
    )


@every_case
def test_edges_confidence_and_recall_of_every_bin_equal_the_released_ones(golden, estimator, direction):
    hit = golden.ranks(direction) == 1
    bins = measure_calibration(golden.uncertainty(estimator, direction), hit, protocol="published").bins.iloc[::-1]
    rows = np.stack([1 - bins["high"], 1 - bins["low"], 1 - bins["mean_uncertainty"], bins["recall_at_1"]], axis=1)
    expected = golden.expected(estimator, direction, "bins")
    np.testing.assert_allclose(rows, expected, atol=1e-5, rtol=0)
    if "consistency" in estimator:
        np.testing.assert_array_equal(rows[:, :2], expected[:, :2])


@every_case
def test_spearman_r2_and_neg_sr2_equal_the_released_ones(golden, estimator, direction):
    hit = golden.ranks(direction) == 1
    calibration = measure_calibration(golden.uncertainty(estimator, direction), hit, protocol="published")
    numbers = [calibration.spearman, calibration.r2, calibration.neg_sr2]
    np.testing.assert_allclose(numbers, golden.expected(estimator, direction, "S_R2"), atol=1e-5, rtol=0)


@every_case
def test_every_rejection_point_equals_the_released_one_or_lies_within_its_ties(golden, estimator, direction):
    uncertainty, hit = golden.uncertainty(estimator, direction), golden.ranks(direction) == 1
    curve = measure_rejection(uncertainty, hit, REJECTION_STEP[direction], "published").curve
    cuts, expected = golden.expected(estimator, direction, "rejection").T
    assert curve["n_rejected"].tolist() == cuts.tolist()
    worst_order, best_order = (np.lexsort((sign * hit, -uncertainty)) for sign in (-1, 1))
    low, high = (np.array([hit[order][int(cut) :].mean() for cut in cuts]) for order in (worst_order, best_order))
    assert (low - 1e-6 <= expected).all()
    assert (expected <= high + 1e-6).all()
    without_ties = high - low < 1e-6
    assert without_ties.all() or "consistency" in estimator
    np.testing.assert_allclose(curve["recall_at_1"][without_ties], expected[without_ties], atol=1e-6, rtol=0)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_recall_at_1_5_and_10_equals_the_released_one(golden, direction):
    ranks = golden.ranks(direction)
    recall = [(ranks <= k).mean() for k in RECALL_KS]
    assert recall == pytest.approx(golden.recall[direction], abs=1e-6)


@pytest.mark.parametrize(("golden", "ties"), [("synthetic12", 2), ("flickr8k_b32_noisy8", 0)], indirect=["golden"])
def test_ties_for_the_top1_occur_only_among_duplicates(golden, ties):
    top_scores = {direction: ranking.top_scores for direction, ranking in golden.rankings.items()}
    assert (top_scores["t2i"][:, 0] - top_scores["t2i"][:, 1] <= 1e-6).sum() == ties
    assert (top_scores["i2t"][:, 0] - top_scores["i2t"][:, 1] > 1e-6).all()
