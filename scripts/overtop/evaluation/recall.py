"""Recall of an encoder compared with published recall, which reveals a wrong activation, preprocessing or captions."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from overtop.errors import OvertopError
from overtop.reference.recalls import RECALL_TOLERANCE_POINTS, find_published_recall
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.relevance import best_rank, positives_matrix
from overtop.storage.split import Split
from overtop.terms import DIRECTIONS, Direction

RECALL_KS = (1, 5, 10)
"""Every k at which R@k is measured."""

RECALL_COLUMNS = [
    "dataset", "split", "encoder", "architecture", "tag", "benchmark", "direction", "k", "recall", "n_queries",
    "published", "difference_points", "verdict",
]  # fmt: skip
"""Columns of the recall table of an encoder, which has one row per direction and k."""


def check_recall(
    split: Split,
    rankings: Mapping[Direction, Ranking],
    architecture: str,
    tag: str | None,
    benchmark: str | None,
) -> pd.DataFrame:
    """Compare the R@k of an encoder with published values, in both directions.

    Args:
        split: the pairs of captions and images.
        rankings: of the encoder, with at least the 10 best items (all items, if the gallery is smaller).
        architecture: open_clip's name.
        tag: open_clip's name for the weights; None for any others.
        benchmark: benchmark of the published values that apply to this split; None if there are none.

    Returns:
        `RECALL_COLUMNS` without `dataset`, `split` and `encoder`; one row per direction and k. `recall` is over the
        queries with a positive in the gallery, `published` is missing if unknown, `difference_points` is ours minus the
        published value in percentage points, and `verdict` is `ok`, `off` if they differ by more than
        `RECALL_TOLERANCE_POINTS`, or `no reference`.

    Raises:
        OvertopError: no query has a known match.
    """
    rows = []
    for direction in DIRECTIONS:
        labelled = positives_matrix(split, direction, rankings[direction], extended=False)
        if not labelled.nnz:
            raise OvertopError(f"{direction}: no query has a known match; pair images and captions")
        rank = best_rank(rankings[direction].top_ids, labelled)[np.diff(labelled.indptr) > 0]
        for k in RECALL_KS:
            recall, published = (rank <= k).mean(), find_published_recall(architecture, tag, benchmark, direction, k)
            rows.append(
                {"direction": direction, "k": k, "recall": recall, "n_queries": len(rank)}
                | _compare_with_published(recall, published)
            )
    return pd.DataFrame(rows).assign(architecture=architecture, tag=tag, benchmark=benchmark)


def _compare_with_published(recall: float, published: float | None) -> dict[str, object]:
    if published is None:
        return {"published": np.nan, "difference_points": np.nan, "verdict": "no reference"}
    difference = round(100 * (recall - published), 6)  # so that a difference equal to the tolerance is within it
    return {
        "published": published,
        "difference_points": difference,
        "verdict": "off" if abs(difference) > RECALL_TOLERANCE_POINTS else "ok",
    }
