"""Query thinning: how good estimators are when only some of the test queries exist.

The gallery stays. An estimator that looks at one query at a time has the same AUROC at any number of queries, apart
from noise, so it is measured once, on all of them; a transductive one depends on the number.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from overtop.errors import OvertopError
from overtop.estimators.transductive import TRANSDUCTIVE
from overtop.evaluation.selective import measure_auroc_and_aurc

MAX_SIMILARITIES = 50_000_000
"""Largest similarity matrix of queries and gallery that is held in memory: 400 MB in float64."""


def thin_queries(
    similarity: np.ndarray,
    hit: np.ndarray,
    uncertainties: Mapping[str, np.ndarray],
    sizes: Sequence[int],
    draws: int,
    temperature: float,
    seed: int,
) -> pd.DataFrame:
    """Measure transductive and other estimators on random subsets of the queries.

    Args:
        similarity: (Q, N) float64 similarities of the test queries to the gallery, groups merged.
        hit: (Q,) bool, whether the best item is right.
        uncertainties: by name, the (Q,) uncertainty of estimators that do not depend on the other queries.
        sizes: numbers of queries; those above Q are left out, and Q itself is added.
        draws: number of random subsets of each size; there is one of size Q.
        temperature: of the softmax over the gallery.
        seed: of the subsets.

    Returns:
        One row per estimator, size and draw: `estimator`, `transductive`, `n_queries`, `draw`, `auroc`, `aurc`. The
        estimators that are not transductive have one row, of all queries. AUROC is 0.5 where a subset has only hits or
        only misses.

    Raises:
        OvertopError: the matrix would not fit in memory.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for size in [*sorted(size for size in set(sizes) if size < len(hit)), len(hit)]:
        for draw in range(draws if size < len(hit) else 1):
            chosen = np.sort(rng.choice(len(hit), size, replace=False))
            part = similarity[chosen]
            for name, estimate in TRANSDUCTIVE.items():
                key = {"estimator": name, "transductive": True, "n_queries": size, "draw": draw}
                rows.append(key | measure_auroc_and_aurc(estimate(part, temperature), hit[chosen]))
    for name, uncertainty in uncertainties.items():
        key = {"estimator": name, "transductive": False, "n_queries": len(hit), "draw": 0}
        rows.append(key | measure_auroc_and_aurc(uncertainty, hit))
    return pd.DataFrame(rows)


def check_size(n_queries: int, n_items: int) -> None:
    """Check that a matrix of all similarities can be held in memory.

    Raises:
        OvertopError: it cannot.
    """
    if n_queries * n_items > MAX_SIMILARITIES:
        raise OvertopError(
            f"transductive estimators need all {n_queries:,} x {n_items:,} similarities at once; name a split with at "
            f"most {MAX_SIMILARITIES:,}"
        )
