"""`protocol: published` against what the paper's released code returned on real CLIP embeddings with noise, S = 8.

Where no sort settles a tie we differ on purpose: the released rejection curve sorts equal confidences by an unstable
`torch.sort`, ours takes the mean over all orders. There the released value must lie between the best and worst order.
"""

import json

import numpy as np
import pytest
from scipy.sparse import csr_array

from overtop.estimators.evidence import Evidence
from overtop.estimators.registry import score
from overtop.evaluation.calibration import calibrate
from overtop.evaluation.rejection import reject
from overtop.radius.compute import radii
from overtop.retrieval.exact import rank
from overtop.retrieval.relevance import best_rank
from overtop.storage.shards import ArraySource

NAMES = {
    "top1_similarity": "top1similarity",
    "top1_consistency": "top1consistency",
    "topk_consistency": "top5consistency",
    "adversarial_linear": "adversarial_lin",
    "adversarial_pgd": "adversarial",
}
TOLERANCE = {"adversarial_pgd": 2e-3}
STEP = {"t2i": 500, "i2t": 100}

every_direction = pytest.mark.parametrize("direction", ["t2i", "i2t"])
every_estimator = pytest.mark.parametrize("estimator", NAMES)


@pytest.fixture(scope="module")
def released(mirror):
    return np.load(mirror / "golden" / "flickr8k_b32_noisy8_expected.npz")


@pytest.fixture(scope="module")
def ours(mirror):
    """By direction: the ranking, the radii and the positives."""
    noisy = np.load(mirror / "golden" / "flickr8k_b32_noisy8_inputs.npz")
    images, texts = ArraySource(list(noisy["image"])), ArraySource(list(noisy["text"]))
    rankings = rank(images, texts, top=20, device="cpu", block=128)
    lengths = radii(images, texts, rankings, device="cpu")
    owner = noisy["image_of_caption"]
    positives = csr_array((np.ones(len(owner), bool), (np.arange(len(owner)), owner)), (len(owner), images.n_items))
    return {
        "t2i": (rankings["t2i"], lengths["t2i"], positives),
        "i2t": (rankings["i2t"], lengths["i2t"], positives.T.tocsr()),
    }


def uncertainty_and_hits(ours, estimator, direction):
    ranking, lengths, positives = ours[direction]
    return score(estimator, Evidence(ranking, lengths), "published"), best_rank(ranking.top_ids, positives) == 1


@every_direction
@every_estimator
def test_confidence(ours, released, estimator, direction):
    ranking = ours[direction][0]
    uncertainty, _ = uncertainty_and_hits(ours, estimator, direction)
    clear = ranking.top_scores[:, 0] - ranking.top_scores[:, 1] > 1e-6
    assert clear.all()
    expected = released[f"{NAMES[estimator]}/{direction}_confidence"]
    np.testing.assert_allclose(1 - uncertainty, expected, atol=TOLERANCE.get(estimator, 1e-4), rtol=0)


@every_direction
@every_estimator
def test_bins(ours, released, estimator, direction):
    bins = calibrate(*uncertainty_and_hits(ours, estimator, direction)).bins.iloc[::-1]
    found = np.stack([1 - bins["high"], 1 - bins["low"], 1 - bins["mean_uncertainty"], bins["recall_at_1"]], axis=1)
    expected = released[f"{NAMES[estimator]}/{direction}_bins"]
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


@every_direction
@every_estimator
def test_calibration(ours, released, estimator, direction):
    found = calibrate(*uncertainty_and_hits(ours, estimator, direction))
    expected = released[f"{NAMES[estimator]}/{direction}_S_R2"]
    np.testing.assert_allclose([found.spearman, found.r2, found.neg_sr2], expected, atol=1e-3, rtol=0)


@every_direction
@every_estimator
def test_rejection(ours, released, estimator, direction):
    uncertainty, hit = uncertainty_and_hits(ours, estimator, direction)
    curve = reject(uncertainty, hit, STEP[direction], "published").curve
    cuts, expected = released[f"{NAMES[estimator]}/{direction}_rejection"].T
    assert curve["n_rejected"].tolist() == cuts.tolist()
    worst, best = (np.lexsort((sign * hit, -uncertainty)) for sign in (-1, 1))
    low, high = (np.array([hit[order][int(cut) :].mean() for cut in cuts]) for order in (worst, best))
    assert (low - 1e-6 <= expected).all()
    assert (expected <= high + 1e-6).all()
    settled = high - low < 1e-6
    assert settled.all() or "consistency" in estimator
    np.testing.assert_allclose(curve["recall_at_1"][settled], expected[settled], atol=1e-6, rtol=0)


@every_direction
def test_recall(ours, mirror, direction):
    ranking, _, positives = ours[direction]
    summary = json.loads((mirror / "golden" / "flickr8k_b32_noisy8_summary.json").read_text())["recall"]
    task = {"t2i": "image_retrieval", "i2t": "text_retrieval"}[direction]
    for k in (1, 5, 10):
        assert (best_rank(ranking.top_ids, positives) <= k).mean() == pytest.approx(
            summary[f"{task}_recall@{k}"], abs=1e-6
        )
