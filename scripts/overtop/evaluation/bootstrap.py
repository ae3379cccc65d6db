"""Bootstrap over images: the values of every measure in resamples of the queries.

The captions of an image are not independent, so a resample draws images with replacement, each with all its queries.
Queries are sorted once. A resample is an integer weight per image, and every measure is computed from the cumulative
counts of the weighted queries.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from overtop.evaluation.calibration import correlate_recall_with_level, equal_width_bins
from overtop.evaluation.ordering import CumulativeCounts, SortedQueries
from overtop.evaluation.rejection import area_under_curve, recall_after_rejection
from overtop.evaluation.selective import aurc, selective_measures
from overtop.memory import RESAMPLE_BYTES, blocks
from overtop.seeds import derive_seed
from overtop.terms import PROTOCOLS, Binning, Protocol

Draws = dict[tuple[str, str], np.ndarray]
"""Values (B,) of measures in B resamples, by name and variant: a protocol, a `calibration_variant`, or "" for measures
without one."""


def calibration_variant(binning: Binning, protocol: Protocol) -> str:
    """Variant of the measures of a calibration: bins of equal width differ between the protocols."""
    return f"{binning} {protocol}" if binning == "equal_width" else binning


def bootstrap_seed(seed: int, dataset: str, split: str) -> int:
    """Seed of the resamples of a split; all posteriors have the same, so that their numbers can be paired."""
    return derive_seed(seed, "bootstrap", dataset, split)


def draw_cluster_weights(n_clusters: int, resamples: int, seed: int) -> np.ndarray:
    """Draw `n_clusters` clusters with replacement in every resample.

    Returns:
        (resamples, n_clusters) uint16, how often each cluster was drawn. It could only overflow with more than 65,535
        clusters, where so many draws of one cluster are practically impossible.
    """
    rng = np.random.default_rng(seed)
    weights = np.empty((resamples, n_clusters), dtype=np.uint16)
    for row in weights:
        row[:] = np.bincount(rng.integers(0, n_clusters, n_clusters), minlength=n_clusters)
    return weights


def count_resamples(queries: SortedQueries, weights: np.ndarray) -> Iterator[CumulativeCounts]:
    """Count the queries in every resample, for blocks of a few resamples at a time.

    Args:
        queries: the queries, with their clusters.
        weights: (B, clusters), from `draw_cluster_weights`.
    """
    bytes_each = queries.n_queries * np.dtype(np.float64).itemsize
    for block in blocks(len(weights), bytes_each, RESAMPLE_BYTES):
        yield queries.count(weights[block])


def bootstrap_measures(
    queries: SortedQueries, weights: np.ndarray, n_bins: int, precision: float, steps: Mapping[Protocol, int]
) -> Draws:
    """Compute every measure in every resample, equal to that of the repeated queries.

    Equal-width bins are between the smallest and largest uncertainty of each resample. The steps of the rejection curve
    are the same in every resample, whatever its number of queries.

    Args:
        queries: the queries, with their clusters.
        weights: (B, clusters), from `draw_cluster_weights`.
        n_bins: bins of the calibration.
        precision: R@1 at which the coverage is measured.
        steps: queries that each protocol removes at a time.

    Returns:
        The measures of `SelectiveMeasures`, `recall_at_1`, and `rejection_auc` for each protocol; `spearman`, `r2` and
        `neg_sr2` for each `calibration_variant`, NaN in resamples where they are not defined.
    """
    parts = []
    for counts in count_resamples(queries, weights):
        part: Draws = {(name, ""): values for name, values in selective_measures(counts, precision).items()}
        part["recall_at_1", ""] = 1 - counts.total_misses / counts.total
        part |= _rejection_areas(counts, steps)
        for protocol in PROTOCOLS:
            bounds = _equal_width_bounds(queries.distinct, counts, n_bins, protocol)
            part["bins", calibration_variant("equal_width", protocol)] = _count_in_bins(counts, bounds)
        part["bins", "equal_count"] = _count_in_bins(counts, equal_count_bounds(counts, n_bins))
        parts.append(part)
    draws = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    for variant in [variant for name, variant in draws if name == "bins"]:
        calibration = _calibration_measures(draws.pop(("bins", variant)))
        draws |= {(name, variant): values for name, values in calibration.items()}
    return draws


def bootstrap_compared_measures(
    queries: SortedQueries, weights: np.ndarray, n_bins: int, protocol: Protocol
) -> dict[str, np.ndarray]:
    """Compute only -S R2 with bins of equal width (`neg_sr2`) and AURC (`aurc`), several times faster.

    The values (B,) are those of `bootstrap_measures`.

    Args:
        queries: the queries, with their clusters.
        weights: (B, clusters), from `draw_cluster_weights`.
        n_bins: bins of the calibration.
        protocol: whose bins.
    """
    bins, areas = [], []
    for counts in count_resamples(queries, weights):
        bins.append(_count_in_bins(counts, _equal_width_bounds(queries.distinct, counts, n_bins, protocol)))
        areas.append(aurc(counts))
    return {"neg_sr2": _calibration_measures(np.concatenate(bins))["neg_sr2"], "aurc": np.concatenate(areas)}


def sum_in_resamples(values: Sequence[np.ndarray], cluster: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum V kinds of values over the queries of every resample.

    Args:
        values: V times (Q,).
        cluster: (Q,) index of the weight of each query.
        weights: (B, clusters), from `draw_cluster_weights`.

    Returns:
        (V, B) float64.
    """
    n_clusters = weights.shape[1]
    of_clusters = np.stack([np.bincount(cluster, kind, n_clusters) for kind in values], axis=1)
    parts = blocks(len(weights), n_clusters * of_clusters.itemsize, RESAMPLE_BYTES)
    # Not a product of BLAS, whose rounding depends on the number of threads.
    sums = [np.einsum("bc,cv->bv", weights[part].astype(np.float64), of_clusters) for part in parts]
    return np.concatenate(sums).T


def bootstrap_recalls(rank: np.ndarray, cluster: np.ndarray, weights: np.ndarray, ks: Sequence[int]) -> Draws:
    """Compute `recall_at_k` for every k in every resample.

    Args:
        rank: (Q,) of the best positive of each query, from 1.
        cluster: (Q,) index of the weight of each query.
        weights: (B, clusters), from `draw_cluster_weights`.
        ks: at which recall is measured.
    """
    total, *hits = sum_in_resamples([np.ones(len(rank)), *(rank <= k for k in ks)], cluster, weights)
    return {(f"recall_at_{k}", ""): count / total for k, count in zip(ks, hits, strict=True)}


def _calibration_measures(bins: np.ndarray) -> dict[str, np.ndarray]:
    """Measures of `Calibration`, each (B,), from queries and misses per bin (B, 2, n_bins)."""
    n_queries, n_misses = np.moveaxis(bins, 1, 0)
    return correlate_recall_with_level(n_queries, n_queries - n_misses)


def _rejection_areas(counts: CumulativeCounts, steps: Mapping[Protocol, int]) -> Draws:
    draws: Draws = {}
    for protocol, step in steps.items():
        areas = []
        for n_queries, n_misses in zip(counts.n_queries, counts.n_misses, strict=True):
            cuts, recall = recall_after_rejection(n_queries, n_misses, step)
            areas.append(area_under_curve(cuts, recall, int(n_queries[-1]), protocol))
        draws["rejection_auc", protocol] = np.array(areas)
    return draws


def _count_in_bins(counts: CumulativeCounts, bounds: np.ndarray) -> np.ndarray:
    """(B, 2, n_bins) queries and misses in bins of consecutive groups.

    Args:
        counts: of G groups.
        bounds: (B, n_bins + 1), the number of groups before each bin, and G.
    """
    rows = np.arange(len(bounds))[:, None]
    return np.diff(np.stack([counts.n_queries[rows, bounds], counts.n_misses[rows, bounds]], axis=1), axis=2)


def _equal_width_bounds(distinct: np.ndarray, counts: CumulativeCounts, n_bins: int, protocol: Protocol) -> np.ndarray:
    """(B, n_bins + 1) bounds of bins of equal width between the extreme uncertainties of each resample."""
    ends = np.stack([np.ones_like(counts.total), counts.total], axis=1)
    first_and_last = _groups_with(counts.n_queries, ends) - 1
    low, high = distinct[first_and_last].T
    _, limits = equal_width_bins(low, high, n_bins, protocol)
    return _add_outer_bounds(np.searchsorted(distinct, limits, side="right"), len(distinct))


def equal_count_bounds(counts: CumulativeCounts, n_bins: int) -> np.ndarray:
    """Return bounds of bins of equal count; a group belongs to the bin that contains its middle query.

    Args:
        counts: of G groups under B weightings.
        n_bins: number of bins; some are empty where groups are large.

    Returns:
        (B, n_bins + 1), the number of groups before each bin, and G.
    """
    edges = counts.total[:, None] * np.arange(1, n_bins) / n_bins
    group = _groups_with(counts.n_queries, edges)
    rows = np.arange(len(group))[:, None]
    twice_middle = counts.n_queries[rows, group - 1] + counts.n_queries[rows, group]
    return _add_outer_bounds(np.where(twice_middle >= 2 * edges, group - 1, group), counts.group_sizes.shape[1])


def _groups_with(n_queries: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(B, T) the smallest number of groups, from the most certain, that contain `targets` (B, T) queries."""
    return np.stack([np.searchsorted(row, target) for row, target in zip(n_queries, targets, strict=True)])


def _add_outer_bounds(inner: np.ndarray, n_groups: int) -> np.ndarray:
    return np.column_stack([np.zeros(len(inner), dtype=np.intp), inner, np.full(len(inner), n_groups)])
