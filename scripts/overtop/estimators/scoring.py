"""From a ranking to rows: for each query, estimator and protocol the uncertainty, and whether the top-1 was right."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from overtop.estimators.evidence import Evidence
from overtop.estimators.registry import ESTIMATORS, lacking, score
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.relevance import best_rank, positives, tied_at_top
from overtop.storage.split import Split
from overtop.terms import PROTOCOLS, Direction, Protocol

COLUMNS = [
    "query_id", "image_id", "direction", "estimator", "protocol", "uncertainty", "top1_id", "hit", "hit_extended",
    "rank", "rank_extended", "tied",
]  # fmt: skip


def score_direction(
    split: Split,
    direction: Direction,
    evidence: Evidence,
    estimators: Sequence[str],
    protocols: Collection[Protocol] = PROTOCOLS,
) -> pd.DataFrame:
    """Every applicable estimator under every protocol it is defined for.

    A query whose own images or captions were all skipped is left out: nothing in the gallery could be right.

    Args:
        split: who belongs to whom.
        direction: which modality asks.
        evidence: of that direction; its queries and gallery may lack skipped items of the split.
        estimators: names; those that do not apply to this posterior are left out.
        protocols: those that the posterior may be evaluated under.

    Returns:
        Columns `COLUMNS`. `image_id` is the image that the query is, or was written for. `rank` is that of the best
        positive, from 1, and infinite beyond what the ranking keeps; `tied` tells of two items equally similar in
        front; `hit_extended` and `rank_extended` are missing where the split knows no extended positives.
    """
    ranking = evidence.ranking
    labelled = positives(split, direction, ranking, extended=False)
    answerable = np.diff(labelled.indptr) > 0
    rank = best_rank(ranking.top_ids, labelled)
    frame = pd.DataFrame(
        {
            "query_id": ranking.query_ids,
            "image_id": _images_of(split, direction, ranking),
            "direction": direction,
            "top1_id": np.asarray(ranking.gallery_ids, dtype=object)[ranking.top_ids[:, 0]],
            "hit": rank == 1,
            "hit_extended": pd.array([pd.NA] * len(rank), dtype="boolean"),
            "rank": rank,
            "rank_extended": np.nan,
            "tied": tied_at_top(ranking.top_scores),
        }
    )
    if split.extended is not None:
        known = best_rank(ranking.top_ids, positives(split, direction, ranking, extended=True))
        frame = frame.assign(hit_extended=pd.array(known == 1, dtype="boolean"), rank_extended=known)
    scored = [
        frame.assign(estimator=name, protocol=protocol, uncertainty=score(name, evidence, protocol))[answerable]
        for name in estimators
        for protocol in ESTIMATORS[name].protocols
        if protocol in protocols and lacking(ESTIMATORS[name], evidence, protocol) is None
    ]
    return pd.concat(scored, ignore_index=True)[COLUMNS]


def _images_of(split: Split, direction: Direction, ranking: Ranking) -> np.ndarray:
    """For each query the name of its image."""
    if direction == "i2t":
        return np.asarray(ranking.query_ids, dtype=object)
    return np.asarray(split.image_ids, dtype=object)[
        split.image_of_caption[_rows(split.caption_ids, ranking.query_ids)]
    ]


def _rows(all_ids: Sequence[str], kept: Sequence[str]) -> np.ndarray:
    position = {item: row for row, item in enumerate(all_ids)}
    return np.array([position[item] for item in kept])
