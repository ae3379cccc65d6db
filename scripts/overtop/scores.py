"""From a ranking to rows: for each query, estimator and protocol the uncertainty, and whether the top-1 was right."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array

from overtop.datasets.manifest import Split
from overtop.estimators import ESTIMATORS, Estimator, score
from overtop.evaluation.recall import best_rank, tied_at_top
from overtop.radius import Radii
from overtop.ranking import Ranking
from overtop.terms import Direction, Protocol

COLUMNS = [
    "query_id", "direction", "estimator", "protocol", "uncertainty", "top1_id", "hit", "hit_extended", "rank",
    "rank_extended", "tied",
]  # fmt: skip


def score_direction(
    split: Split, direction: Direction, ranking: Ranking, radii: Radii, estimators: Sequence[str]
) -> pd.DataFrame:
    """Every applicable estimator under every protocol it is defined for.

    A query whose own images or captions were all skipped is left out: nothing in the gallery could be right.

    Args:
        split: who belongs to whom.
        direction: which modality asks.
        ranking: of that direction; its queries and gallery may lack skipped items of the split.
        radii: of the same ranking.
        estimators: names; those that do not apply to this posterior are left out.

    Returns:
        Columns `COLUMNS`. `rank` is that of the best positive, from 1, and infinite beyond what the ranking keeps;
        `tied` tells of two items equally similar in front; `hit_extended` and `rank_extended` are missing where the
        split knows no extended positives.
    """
    labelled = positives(split, direction, ranking, extended=False)
    answerable = np.diff(labelled.indptr) > 0
    rank = best_rank(ranking.top_ids, labelled)
    frame = pd.DataFrame(
        {
            "query_id": ranking.query_ids,
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
        frame.assign(estimator=name, protocol=protocol, uncertainty=score(name, ranking, radii, protocol))[answerable]
        for name in estimators
        for protocol in ESTIMATORS[name].protocols
        if _applies(ESTIMATORS[name], protocol, ranking, radii)
    ]
    return pd.concat(scored, ignore_index=True)[COLUMNS]


def _applies(estimator: Estimator, protocol: Protocol, ranking: Ranking, radii: Radii) -> bool:
    """Votes need several samples; the published radius needs members of one width."""
    has_votes = ranking.n_samples > 1
    has_radius = protocol == "corrected" or radii.published is not None
    return (has_votes or "votes" not in estimator.needs) and (has_radius or "radius" not in estimator.needs)


def positives(split: Split, direction: Direction, ranking: Ranking, extended: bool) -> csr_array:
    """Which gallery items are right for each query, as a boolean (Q, N) matrix.

    Args:
        extended: every item known to match, rather than the labelled pairs alone.
    """
    captions, images = np.arange(len(split.captions)), split.image_of_caption
    if extended:
        assert split.extended is not None, "asked for extended positives of a split without them"
        captions = np.repeat(captions, [len(known) for known in split.extended])
        images = np.concatenate(split.extended)
    shape = (len(split.captions), len(split.image_ids))
    pairs = coo_array((np.ones(len(images), dtype=bool), (captions, images)), shape=shape).tocsr()
    queries, gallery = split.caption_ids, split.image_ids
    if direction == "i2t":
        pairs, queries, gallery = pairs.T.tocsr(), gallery, queries
    return pairs[_rows(queries, ranking.query_ids)][:, _rows(gallery, ranking.gallery_ids)]


def _rows(all_ids: Sequence[str], kept: Sequence[str]) -> np.ndarray:
    position = {item: row for row, item in enumerate(all_ids)}
    return np.array([position[item] for item in kept])
