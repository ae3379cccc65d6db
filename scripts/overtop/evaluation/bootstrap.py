"""What each number would have been on other queries: the bootstrap, over images.

The captions of an image are not independent, so an image is drawn with all its queries. Queries are sorted once; a
resample is a whole weight for each of them, and every measure is read off the weights summed up in that order.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from overtop.evaluation.calibration import EDGE, correlations
from overtop.evaluation.ordering import Counts, Ordering
from overtop.evaluation.rejection import area, rejection_points
from overtop.evaluation.selective import aurc, measures
from overtop.terms import BINNINGS, Protocol

CHUNK = 1 << 16
"""Numbers in one intermediate array: a few of them stay in a core's cache."""

Draws = dict[tuple[str, str], np.ndarray]
"""Values (B,) of a measure in every resample, by its name and its variant: a binning, a protocol, or none ("")."""


def draw_clusters(n_clusters: int, resamples: int, seed: int) -> np.ndarray:
    """How often each cluster is drawn, `n_clusters` draws with replacement in every resample.

    Returns:
        (resamples, n_clusters) uint16. More than 65,535 draws of one cluster would take as many clusters, and luck.
    """
    rng = np.random.default_rng(seed)
    weights = np.empty((resamples, n_clusters), dtype=np.uint16)
    for row in weights:
        row[:] = np.bincount(rng.integers(0, n_clusters, n_clusters), minlength=n_clusters)
    return weights


def resampled(
    ordering: Ordering, weights: np.ndarray, n_bins: int, precision: float, steps: Mapping[Protocol, int]
) -> Draws:
    """Every measure in every resample, equal to that of the repeated queries.

    Equal-width bins are cut between a resample's own smallest and largest uncertainty. The steps of the rejection curve
    are what they are given as, whatever the number of queries that a resample holds.

    Args:
        ordering: the queries, with their clusters.
        weights: (B, clusters), of `draw_clusters`.
        n_bins: bins of the calibration.
        precision: R@1 at which the coverage is read off.
        steps: queries that each protocol removes at a time.
    """
    chunks = []
    for counts in _counted(ordering, weights):
        found: Draws = {(name, ""): value for name, value in measures(counts, precision).items()}
        found["recall_at_1", ""] = 1 - counts.total_errors / counts.total
        chunks.append(found | _bins(ordering.values, counts, n_bins) | _rejections(counts, steps))
    draws = {key: np.concatenate([chunk[key] for chunk in chunks]) for key in chunks[0]}
    for binning in BINNINGS:
        n_queries, n_missed = np.moveaxis(draws.pop(("bins", binning)), 1, 0)
        spearman, r2, _ = correlations(n_queries, n_queries - n_missed)
        draws |= {("spearman", binning): spearman, ("r2", binning): r2, ("neg_sr2", binning): -spearman * r2 + 0.0}
    return draws


def resampled_for_comparison(ordering: Ordering, weights: np.ndarray, n_bins: int) -> dict[str, np.ndarray]:
    """-S R2 of bins of equal width (`neg_sr2`) and AURC (`aurc`) alone, as `resampled` has them: several times faster.

    Args:
        ordering: the queries, with their clusters.
        weights: (B, clusters), of `draw_clusters`.
        n_bins: bins of the calibration.
    """
    bins, areas = [], []
    for counts in _counted(ordering, weights):
        bins.append(_in_bins(counts, _equal_width(ordering.values, counts, n_bins)))
        areas.append(aurc(counts))
    n_queries, n_missed = np.moveaxis(np.concatenate(bins), 1, 0)
    spearman, r2, _ = correlations(n_queries, n_queries - n_missed)
    return {"neg_sr2": -spearman * r2 + 0.0, "aurc": np.concatenate(areas)}


def _counted(ordering: Ordering, weights: np.ndarray) -> Iterator[Counts]:
    """A few resamples at a time."""
    rows = max(1, CHUNK // ordering.n_queries)
    for start in range(0, len(weights), rows):
        yield ordering.counts(weights[start : start + rows])


def _rejections(counts: Counts, steps: Mapping[Protocol, int]) -> Draws:
    found: Draws = {}
    for protocol, step in steps.items():
        areas = []
        for kept, missed in zip(counts.kept, counts.missed, strict=True):
            cuts, recall = rejection_points(kept, missed, step)
            areas.append(area(cuts, recall, int(kept[-1]), protocol))
        found["rejection_auc", protocol] = np.array(areas)
    return found


def _bins(values: np.ndarray, counts: Counts, n_bins: int) -> Draws:
    """For each binning (B, 2, n_bins): how many queries fall into each bin, and how many of them miss."""
    cut = {"equal_width": _equal_width(values, counts, n_bins), "equal_count": _equal_count(counts, n_bins)}
    return {("bins", binning): _in_bins(counts, ends) for binning, ends in cut.items()}


def _in_bins(counts: Counts, ends: np.ndarray) -> np.ndarray:
    """(B, 2, n_bins) queries and misses between the ends (B, n_bins + 1)."""
    rows = np.arange(len(counts.kept))[:, None]
    return np.diff(np.stack([counts.kept[rows, ends], counts.missed[rows, ends]], axis=1), axis=2)


def _equal_width(values: np.ndarray, counts: Counts, n_bins: int) -> np.ndarray:
    """(B, n_bins + 1) how many groups lie below each bin, and below the end."""
    drawn = _groups_to_hold(counts.kept, np.stack([np.ones_like(counts.total), counts.total], axis=1)) - 1
    low, high = values[drawn[:, :1]], values[drawn[:, 1:]]
    edges = low + (np.arange(1, n_bins) + EDGE) * ((high - low) / n_bins)
    return _framed(np.searchsorted(values, edges, side="right"), len(values))


def _equal_count(counts: Counts, n_bins: int) -> np.ndarray:
    """As above: a group belongs to the bin that its middle query falls into."""
    edges = counts.total[:, None] * np.arange(1, n_bins) / n_bins
    reached = _groups_to_hold(counts.kept, edges)
    rows = np.arange(len(reached))[:, None]
    sides = counts.kept[rows, reached - 1] + counts.kept[rows, reached]
    return _framed(np.where(sides >= 2 * edges, reached - 1, reached), counts.size.shape[1])


def _groups_to_hold(kept: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(B, T) the fewest groups, from the most certain, that hold so many queries."""
    return np.stack([np.searchsorted(row, wanted) for row, wanted in zip(kept, targets, strict=True)])


def _framed(inner: np.ndarray, last: int) -> np.ndarray:
    return np.column_stack([np.zeros(len(inner), dtype=np.intp), inner, np.full(len(inner), last)])
