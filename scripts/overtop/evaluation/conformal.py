"""How many items to show so that a right one is among them: split-conformal sets.

The set of a query holds the items whose similarity is within a margin of its top-1's. The margin is a quantile, with
the correction for finite samples, of what the queries of validation would have needed (Vovk et al. 2005, Sec. 4.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from overtop.errors import OvertopError
from overtop.evaluation.operating import COLUMNS, exact_interval
from overtop.retrieval.relevance import best_rank


@dataclass(frozen=True)
class Candidates:
    """What is known of Q queries over a gallery of N items.

    Attributes:
        top_ids: (Q, K) gallery indices, best first.
        top_scores: (Q, K) their similarities.
        positives: (Q, N) bool, without repeats.
    """

    top_ids: np.ndarray
    top_scores: np.ndarray
    positives: csr_array

    @property
    def gaps(self) -> np.ndarray:
        """(Q, K) float64, by how much each item falls short of the top-1."""
        scores = self.top_scores.astype(np.float64)
        return scores[:, :1] - scores


def nonconformity(candidates: Candidates) -> np.ndarray:
    """(Q,) by how much the best positive falls short of the top-1; infinite if none is among the K items."""
    rank = best_rank(candidates.top_ids, candidates.positives)
    found = np.flatnonzero(np.isfinite(rank))
    needed = np.full(len(rank), np.inf)
    needed[found] = candidates.gaps[found, rank[found].astype(np.int64) - 1]
    return needed


def margin(needed: np.ndarray, share: float) -> float:
    """The smallest margin within which a new query's best positive lies with probability `share` at least.

    It is the ceil((n + 1) share)-th smallest, and infinity where n queries are too few, or too many of their
    positives are unknown. The probability is over these queries and the new one, all exchangeable.

    Args:
        needed: (n,) of independent queries, as `nonconformity` returns them.
        share: in (0, 1).

    Raises:
        OvertopError: no queries, NaN, or a share out of range.
    """
    if not 0 < share < 1:
        raise OvertopError(f"the share of sets that shall hold a positive is {share}; give a number between 0 and 1")
    if not len(needed) or np.isnan(needed).any():
        raise OvertopError("conformal sets need at least one query, and a nonconformity that is not NaN for each")
    rank = int(np.ceil((len(needed) + 1) * share - 1e-9))  # 0.9 * 10 is 9, whatever its rounding
    return float(np.sort(needed)[rank - 1]) if rank <= len(needed) else np.inf


def set_sizes(candidates: Candidates, within: float) -> tuple[np.ndarray, np.ndarray]:
    """How many items lie within a margin of each query's top-1.

    Returns:
        (Q,) sizes, and (Q,) whether a size is censored: all K items that are kept are in the set and the gallery has
        more, so that the size is at least that. Within an infinite margin lies the whole gallery.
    """
    queries, kept = candidates.top_scores.shape
    gallery = candidates.positives.shape[1]
    if np.isinf(within):
        return np.full(queries, gallery), np.zeros(queries, dtype=bool)
    sizes = (candidates.gaps <= within).sum(axis=1)
    return sizes, (sizes == kept) & (gallery > kept)


def conformal_sets(
    validation: Candidates, test: Candidates, shares: Sequence[float], confidence: float
) -> pd.DataFrame:
    """Margins chosen on validation, and the sets they make on test.

    Sets depend on similarities alone, so the columns `estimator` and `protocol` are missing.

    Args:
        validation: of independent queries.
        test: of independent queries. With a gallery of another size the gaps differ and the promise is void.
        shares: how many of the sets shall hold a positive.
        confidence: of the intervals.

    Returns:
        Columns `COLUMNS` (`direction` and `positives` are the caller's), a row per target. `threshold`: the margin;
        `achieved`: share of the sets that hold a positive, with its exact interval, where a positive beyond the K kept
        items counts as left out unless the margin is infinite; `mean_set_size` and `median_set_size` take a censored
        size for K, and `share_censored` says how many are.

    Raises:
        OvertopError: bad input of `margin`.
    """
    needed, new = nonconformity(validation), nonconformity(test)
    rows = []
    for share in shares:
        within = margin(needed, share)
        sizes, censored = set_sizes(test, within)
        held = int((new <= within).sum())
        low, high = exact_interval(held, len(new), confidence)
        rows.append(
            {
                "form": "conformal_set",
                "target": share,
                "confidence": confidence,
                "n_validation": len(needed),
                "n_test": len(new),
                "threshold": within,
                "achieved": held / len(new),
                "achieved_low": low,
                "achieved_high": high,
                "met": held / len(new) >= share,
                "mean_set_size": sizes.mean(),
                "median_set_size": np.median(sizes),
                "share_censored": censored.mean(),
            }
        )
    return pd.DataFrame(rows).reindex(columns=COLUMNS).astype({"met": "boolean"})
