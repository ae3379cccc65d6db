"""From a ranking to one row per query x estimator x protocol: the uncertainty, the top-1 item, and whether it was right."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array

from overtop.datasets.manifest import Split
from overtop.estimators import ESTIMATORS, score
from overtop.evaluation.recall import hits
from overtop.radius import Radii
from overtop.ranking import Direction, Ranking

COLUMNS = ["query_id", "direction", "estimator", "protocol", "uncertainty", "top1_id", "hit", "hit_extended"]


def score_direction(
    split: Split, direction: Direction, ranking: Ranking, radii: Radii, estimators: Sequence[str]
) -> pd.DataFrame:
    """Every applicable estimator under every protocol it is defined for.

    A query whose own images or captions were all skipped is left out: nothing in the gallery could be right. Estimators
    that need votes are left out where the posterior has one sample.

    Args:
        split: who belongs to whom.
        direction: which modality asks.
        ranking: of that direction; its queries and gallery may lack skipped items of the split.
        radii: of the same ranking.
        estimators: names; those that do not apply to this posterior are left out.

    Returns:
        Columns `COLUMNS`; `hit_extended` is missing where the split knows no extended positives.
    """
    labelled = positives(split, direction, ranking, extended=False)
    answerable = np.diff(labelled.indptr) > 0
    frame = pd.DataFrame(
        {
            "query_id": ranking.query_ids,
            "direction": direction,
            "top1_id": np.asarray(ranking.gallery_ids, dtype=object)[ranking.top_ids[:, 0]],
            "hit": hits(ranking.top_ids, labelled),
        }
    )
    if split.extended is None:
        frame["hit_extended"] = pd.array([pd.NA] * len(frame), dtype="boolean")
    else:
        known = positives(split, direction, ranking, extended=True)
        frame["hit_extended"] = pd.array(hits(ranking.top_ids, known), dtype="boolean")
    scored = [
        frame.assign(estimator=name, protocol=protocol, uncertainty=score(name, ranking, radii, protocol))[answerable]
        for name in estimators
        if ranking.n_samples > 1 or "votes" not in ESTIMATORS[name].needs
        for protocol in ESTIMATORS[name].protocols
    ]
    return pd.concat(scored, ignore_index=True)[COLUMNS]


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
