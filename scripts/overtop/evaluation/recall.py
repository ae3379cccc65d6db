"""Does an encoder find what it is published to find? If not, its activation, preprocessing or captions are wrong."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from overtop.reference.recalls import TOLERANCE, published_recall
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.relevance import best_rank, positives
from overtop.storage.split import Split
from overtop.terms import DIRECTIONS, Direction

KS = (1, 5, 10)


def recall_check(
    split: Split,
    rankings: Mapping[Direction, Ranking],
    architecture: str,
    tag: str | None,
    benchmark: str | None,
) -> pd.DataFrame:
    """An encoder's R@k in both directions, beside what was published.

    Args:
        split: who belongs to whom.
        rankings: of the encoder, with at least the 10 best items (all, if the gallery is smaller).
        architecture: open_clip's name for it.
        tag: open_clip's name for the weights, None if they are others.
        benchmark: the published figures that apply to this split, None if there are none.

    Returns:
        A row per direction and k: `recall` of the queries that have a positive in the gallery, `published` (missing if
        unknown), `difference_points` (ours less theirs, in hundredths) and `verdict`: `ok`, `off` if they differ by
        more than `TOLERANCE`, or `no reference`.
    """
    rows = []
    for direction in DIRECTIONS:
        labelled = positives(split, direction, rankings[direction], extended=False)
        rank = best_rank(rankings[direction].top_ids, labelled)[np.diff(labelled.indptr) > 0]
        for k in KS:
            recall, published = (rank <= k).mean(), published_recall(architecture, tag, benchmark, direction, k)
            rows.append(
                {"direction": direction, "k": k, "recall": recall, "n_queries": len(rank)} | _held(recall, published)
            )
    return pd.DataFrame(rows).assign(architecture=architecture, tag=tag, benchmark=benchmark)


def _held(recall: float, published: float | None) -> dict[str, object]:
    if published is None:
        return {"published": np.nan, "difference_points": np.nan, "verdict": "no reference"}
    difference = round(100 * (recall - published), 6)  # both are shares of whole queries: exactly 0.5 is not more
    return {
        "published": published,
        "difference_points": difference,
        "verdict": "off" if abs(difference) > TOLERANCE else "ok",
    }
