"""Split-conformal sets: how many items to show so that a positive is among them with a given probability.

The set of a query contains the items whose similarity is within a margin of its top-1's. The margin is a quantile, with
the finite-sample correction, of the margins that the validation queries require (Vovk et al. 2005, Sec. 4.1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from overtop.errors import OvertopError
from overtop.evaluation.proportions import exact_interval
from overtop.retrieval.relevance import best_rank


@dataclass(frozen=True)
class Candidates:
    """The K best of N gallery items for each of Q queries.

    Attributes:
        top_ids: (Q, K) gallery indices, best first.
        top_scores: (Q, K) their similarities.
        positives: (Q, N) bool, without repeats.
    """

    top_ids: np.ndarray
    top_scores: np.ndarray
    positives: csr_array

    @property
    def has_positive(self) -> np.ndarray:
        """(Q,) bool, whether the gallery contains a positive of the query."""
        return np.diff(self.positives.indptr) > 0

    @property
    def gaps(self) -> np.ndarray:
        """(Q, K) float64, similarity of the top-1 minus that of each item."""
        scores = self.top_scores.astype(np.float64)
        return scores[:, :1] - scores


def required_margins(candidates: Candidates) -> np.ndarray:
    """(Q,) similarity of the top-1 minus that of the best positive; infinite if the K items contain no positive.

    This is the nonconformity score of a query.
    """
    rank = best_rank(candidates.top_ids, candidates.positives)
    with_positive = np.flatnonzero(np.isfinite(rank))
    margins = np.full(len(rank), np.inf)
    margins[with_positive] = candidates.gaps[with_positive, rank[with_positive].astype(np.int64) - 1]
    return margins


def conformal_margin(margins: np.ndarray, share: float) -> float:
    """Return the smallest margin that contains a new query's best positive with probability at least `share`.

    It is the ceil((n + 1) share)-th smallest required margin. It is infinite if there are too few queries, or too many
    without a positive among their K items. The probability is over these queries and the new one, all exchangeable.

    Args:
        margins: (n,) of independent queries, from `required_margins`.
        share: in (0, 1).

    Raises:
        OvertopError: no queries, NaN, or a share out of range.
    """
    if not 0 < share < 1:
        raise OvertopError(f"the target share of sets with a positive is {share}; give a number between 0 and 1")
    if not len(margins) or np.isnan(margins).any():
        raise OvertopError("conformal sets need at least one query, and no required margin may be NaN")
    rank = int(np.ceil((len(margins) + 1) * share - 1e-9))  # 0.9 * 10 counts as 9 despite rounding
    return float(np.sort(margins)[rank - 1]) if rank <= len(margins) else np.inf


def set_sizes(candidates: Candidates, margin: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of items within a margin of each query's top-1.

    Returns:
        (Q,) sizes, and (Q,) whether a size is censored: the set contains all K items and the gallery has more, so that
        the size is a lower bound. An infinite margin contains the whole gallery.
    """
    n_queries, n_items = candidates.top_scores.shape
    gallery_size = candidates.positives.shape[1]
    if np.isinf(margin):
        return np.full(n_queries, gallery_size), np.zeros(n_queries, dtype=bool)
    sizes = (candidates.gaps <= margin).sum(axis=1)
    return sizes, (sizes == n_items) & (gallery_size > n_items)


def evaluate_conformal_sets(
    validation: Candidates, test: Candidates, shares: Sequence[float], confidence: float
) -> pd.DataFrame:
    """Choose margins on validation and measure their sets on test.

    Args:
        validation: of independent queries.
        test: of independent queries. With a gallery of another size the gaps differ and the guarantee does not apply.
        shares: target shares of sets with a positive.
        confidence: of the intervals.

    Returns:
        One row per target, with columns of `operating.COLUMNS`. `threshold`: the margin; `achieved`: share of sets with
        a positive, with its exact interval, where a positive beyond the K best items counts as missing unless the
        margin is infinite; a positive that is not in the gallery is always missing. `mean_set_size` and
        `median_set_size` count a censored size as K, and `share_censored` is the share of censored sizes.

    Raises:
        OvertopError: an invalid argument of `conformal_margin`.
    """
    validation_margins, test_margins = required_margins(validation), required_margins(test)
    rows = []
    for share in shares:
        margin = conformal_margin(validation_margins, share)
        sizes, censored = set_sizes(test, margin)
        covered = test_margins <= margin if np.isfinite(margin) else test.has_positive
        n_test, n_covered = len(test_margins), int(covered.sum())
        low, high = exact_interval(n_covered, n_test, confidence)
        rows.append(
            {
                "form": "conformal_set",
                "target": share,
                "confidence": confidence,
                "n_validation": len(validation_margins),
                "n_test": n_test,
                "threshold": margin,
                "achieved": n_covered / n_test,
                "achieved_low": low,
                "achieved_high": high,
                "met": n_covered / n_test >= share,
                "mean_set_size": sizes.mean(),
                "median_set_size": np.median(sizes),
                "share_censored": censored.mean(),
            }
        )
    return pd.DataFrame(rows)
