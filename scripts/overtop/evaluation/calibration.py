"""Calibration: does recall fall as uncertainty rises? (Sec. 4.1 and 4.3 of the paper.)"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from overtop.errors import OvertopError
from overtop.evaluation.inputs import validate_scores
from overtop.terms import Binning, Protocol

EDGE_TOLERANCE = 1e-9
"""Share of a bin's width within which a value counts as lying on the edge."""


@dataclass(frozen=True)
class Calibration:
    """Recall by level of uncertainty, and how linearly it falls.

    Attributes:
        bins: one row per non-empty bin, from certain to uncertain: `level` (0, 1, ... without gaps), `low` and `high`
            (edges, or the extreme values in an equal-count bin), `mean_uncertainty`, `n_queries`, `recall_at_1`.
        spearman: S, rank correlation of recall with level; ideal -1.
        r2: R2 of the linear fit of recall on level; ideal 1.
        neg_sr2: -S R2; ideal 1.

    The three numbers are NaN where the correlation is not defined.
    """

    bins: pd.DataFrame
    spearman: float
    r2: float
    neg_sr2: float

    @property
    def defined(self) -> bool:
        """Whether the correlation of recall and level is defined."""
        return not np.isnan(self.neg_sr2)


def measure_calibration(
    uncertainty: np.ndarray,
    hit: np.ndarray,
    n_bins: int = 10,
    binning: Binning = "equal_width",
    protocol: Protocol = "corrected",
) -> Calibration:
    """Measure calibration as in the paper, where every bin has the same weight whatever its number of queries.

    `equal_width` splits [min, max] evenly (`equal_width_bins`). A value on an inner edge belongs to the bin of lower
    uncertainty; under `corrected`, so does a value that misses the edge by rounding alone (a consistency of 0.2 often
    is an edge). Empty bins are dropped and the others are numbered without gaps, as in the released code. `equal_count`
    splits the queries evenly by rank; queries of equal uncertainty stay in one bin, so an uncertainty with few values
    gives fewer or uneven bins.

    The correlation is not defined with one bin (a single query, or a constant uncertainty) or with the same recall in
    every bin. S, R2 and -S R2 are then NaN: 0 would stand for recall that does not depend on the uncertainty, which
    such data cannot show. Two bins of different recall give |S| = 1.

    Args:
        uncertainty: (Q,), higher is less trustworthy.
        hit: (Q,) bool, whether the top-1 is right.
        n_bins: number of bins before empty ones are dropped.
        binning: how uncertainty is split into bins.
        protocol: `published` has the released code's bins of equal width.

    Raises:
        OvertopError: no queries, shapes that differ, an uncertainty that is not finite, `n_bins` below 1, or an unknown
            binning.

    Example:
        >>> measure_calibration(np.array([0.1, 0.2, 0.8, 0.9]), np.array([1, 1, 1, 0]), n_bins=2).neg_sr2
        1.0
    """
    uncertainty, hit = validate_scores(uncertainty, hit)
    if n_bins < 1:
        raise OvertopError(f"n_bins is {n_bins}; give at least 1")
    if binning == "equal_width":
        number, edges = _assign_equal_width(uncertainty, n_bins, protocol)
    elif binning == "equal_count":
        number, edges = _assign_equal_count(uncertainty, n_bins), None
    else:
        raise OvertopError(f"unknown binning {binning!r}; use equal_width or equal_count")
    queries = pd.DataFrame({"number": number, "uncertainty": uncertainty, "hit": hit})
    bins = queries.groupby("number").agg(
        low=("uncertainty", "min"),
        high=("uncertainty", "max"),
        mean_uncertainty=("uncertainty", "mean"),
        n_queries=("hit", "size"),
        recall_at_1=("hit", "mean"),
    )
    if edges is not None:
        bins["low"], bins["high"] = edges[bins.index], edges[bins.index + 1]
    bins = bins.reset_index(drop=True).rename_axis("level").reset_index()
    measures = correlate_recall_with_level(
        np.bincount(number, minlength=n_bins)[None], np.bincount(number, weights=hit, minlength=n_bins)[None]
    )
    return Calibration(bins, **{name: float(values[0]) for name, values in measures.items()})


def equal_width_bins(
    low: np.ndarray, high: np.ndarray, n_bins: int, protocol: Protocol
) -> tuple[np.ndarray, np.ndarray]:
    """Split [low, high] into bins of equal width; bin i holds the values above limit i - 1 up to limit i, inclusive.

    `published`: the edges are those of the released code, `torch.linspace` between float32 confidences, and a
    confidence c belongs to the bin with edge <= c < next edge; with c = 1 - u, u <= 1 - edge, which float64 computes
    exactly. torch rounds `start + i step` to float32 once, and counts down from the end in the upper half.
    `corrected`: the edges are those of the uncertainties, and the limits lie `EDGE_TOLERANCE` above them.

    Args:
        low: smallest uncertainty, a scalar or (B,).
        high: largest uncertainty, likewise.
        n_bins: number of bins.
        protocol: whose bins.

    Returns:
        Edges (n_bins + 1,) and the limits (n_bins - 1,) of all bins but the last, ascending, or B rows of them.
    """
    if protocol == "corrected":
        edges = np.linspace(low, high, n_bins + 1, axis=-1)
        width = np.asarray(high - low)[..., None] / n_bins
        return edges, edges[..., 1:-1] + EDGE_TOLERANCE * width
    start, end = (np.asarray(1 - extreme, dtype=np.float32)[..., None] for extreme in (high, low))
    step = ((end - start) / np.float32(n_bins)).astype(np.float64)
    number = np.arange(n_bins + 1)
    rising, falling = start + number * step, end - (n_bins - number) * step
    confidence = np.where(number < (n_bins + 1) // 2, rising, falling).astype(np.float32)
    edges = 1 - confidence[..., ::-1].astype(np.float64)
    return edges, edges[..., 1:-1]


def correlate_recall_with_level(n_queries: np.ndarray, n_hits: np.ndarray) -> dict[str, np.ndarray]:
    """Compute S, R2 and -S R2 of recall and level for B calibrations at once.

    Args:
        n_queries: (B, n_bins), from certain to uncertain; empty bins are dropped and the others numbered without gaps.
        n_hits: (B, n_bins).

    Returns:
        `spearman`, `r2` and `neg_sr2`, each (B,); NaN where the correlation is not defined.
    """
    filled = n_queries > 0
    level = np.cumsum(filled, axis=1)
    recall = n_hits / np.maximum(n_queries, 1)
    smaller = (recall[:, None, :] < recall[:, :, None]) & filled[:, None, :]
    equal = (recall[:, None, :] == recall[:, :, None]) & filled[:, None, :]
    rank = smaller.sum(axis=2) + equal.sum(axis=2) / 2
    defined = (smaller.any(axis=2) & filled).any(axis=1)
    spearman, pearson = (np.where(defined, _pearson(level, other, filled), np.nan) for other in (rank, recall))
    return {"spearman": spearman, "r2": pearson**2, "neg_sr2": -spearman * pearson**2 + 0.0}  # no "-0.0"


def _pearson(x: np.ndarray, y: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """(B,) correlation over the filled bins; arbitrary where x or y is constant."""
    count = filled.sum(axis=1, keepdims=True)
    x, y = (np.where(filled, v - np.where(filled, v, 0).sum(axis=1, keepdims=True) / count, 0.0) for v in (x, y))
    scale = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return (x * y).sum(axis=1) / np.where(scale > 0, scale, 1.0)


def _assign_equal_width(uncertainty: np.ndarray, n_bins: int, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Bin of each query (Q,), and the edges (n_bins + 1,)."""
    edges, limits = equal_width_bins(uncertainty.min(), uncertainty.max(), n_bins, protocol)
    return np.searchsorted(limits, uncertainty), edges


def _assign_equal_count(uncertainty: np.ndarray, n_bins: int) -> np.ndarray:
    """Bin of each query (Q,), in integer arithmetic because the mid-rank of ties may lie exactly on an edge."""
    twice_mid_rank = (2 * pd.Series(uncertainty).rank().to_numpy() - 1).astype(np.int64)
    return twice_mid_rank * n_bins // (2 * len(uncertainty))
