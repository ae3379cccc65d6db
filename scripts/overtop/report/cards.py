"""The query cards of a panel: sampled queries with their best items, and how uncertain each estimator is of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from overtop import labels
from overtop.evaluation.inputs import HIT_COLUMNS, RANK_COLUMNS
from overtop.evaluation.selection import select_rows
from overtop.report.document import Gallery, QueryCards
from overtop.report.rows import default_methods, panel_id
from overtop.report.sample import describe_sample, sample_queries
from overtop.report.thumbnails import Ensure, Thumbnails
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.relevance import positives_matrix, row_numbers
from overtop.seeds import derive_seed
from overtop.storage.split import Split
from overtop.terms import Direction, Modality

N_ITEMS = 5
"""Best items that a card shows."""

SCORE_COLUMNS = ["direction", "estimator", "protocol", "query_id", "uncertainty"]
SCORE_COLUMNS += [*HIT_COLUMNS.values(), *RANK_COLUMNS.values()]
"""Columns of the score table that cards need."""

LABELLED, EXTENDED = 1, 2
"""Marks of an item that is labelled as a match, and of one that is known to match without being labelled."""


@dataclass(frozen=True)
class CardSource:
    """Results of the first posterior on one split, both directions.

    Attributes:
        split: the images and captions.
        rankings: by direction.
        scores: the columns `SCORE_COLUMNS` of its score table.
        ensure: verifies image files before they are read.
    """

    split: Split
    rankings: Mapping[Direction, Ranking]
    scores: pd.DataFrame
    ensure: Ensure


def make_cards(
    panel: pd.DataFrame, source: CardSource, n: int, declared: int, seed: int, images: Thumbnails
) -> QueryCards:
    """The cards of one panel.

    Args:
        panel: its methods (`rows.default_rows`).
        source: results of its first posterior.
        n: number of queries.
        declared: number of queries by the configuration.
        seed: of the run.
        images: to which the thumbnails are added.
    """
    defaults = default_methods(panel)
    default, direction = defaults.iloc[-1], panel["direction"].iloc[0]
    methods = panel[panel["posterior"] == default["posterior"]]
    estimators = dict.fromkeys([default["estimator"], *methods["estimator"]])
    scores = select_rows(source.scores, direction=direction, protocol=default["protocol"])
    by_estimator = {name: select_rows(scores, estimator=name) for name in estimators}
    queries = by_estimator[default["estimator"]]
    hit = queries[HIT_COLUMNS[default["positives"]]].to_numpy(dtype=bool)
    chosen = sample_queries(queries["uncertainty"].to_numpy(), hit, n, derive_seed(seed, "report", panel_id(default)))
    rank = queries[RANK_COLUMNS[default["positives"]]].to_numpy()[chosen]
    shown = queries.iloc[chosen]
    default_label = labels.format_name(default["estimator"])
    return QueryCards(
        panel=panel_id(default),
        posterior=default["posterior"],
        sample=describe_sample(len(chosen), len(queries), declared, seed, default_label),
        estimators=[(name, labels.format_name(name)) for name in estimators],
        id=shown["query_id"].tolist(),
        hit=hit[chosen].tolist(),
        rank=[int(value) if np.isfinite(value) else None for value in rank],
        share={name: _shares(of_method, chosen) for name, of_method in by_estimator.items()},
        **_items(source, direction, shown["query_id"].tolist(), default["positives"] == "extended", images),
    )


def _shares(queries: pd.DataFrame, chosen: np.ndarray) -> list[float]:
    """The share of all queries that are more certain, of some."""
    uncertainty = queries["uncertainty"].to_numpy()
    smaller = np.searchsorted(np.sort(uncertainty), uncertainty[chosen])
    return [round(float(share), 4) for share in smaller / len(uncertainty)]


def _items(
    source: CardSource, direction: Direction, query_ids: list[str], extended: bool, images: Thumbnails
) -> dict[str, Any]:
    """The columns of the cards that come from the ranking and the split, and the gallery."""
    split, ranking = source.split, source.rankings[direction]
    rows = row_numbers(ranking.query_ids, query_ids)
    top = ranking.top_ids[rows, :N_ITEMS]
    labelled = positives_matrix(split, direction, ranking, extended)[rows]
    also = None if split.extended is None else positives_matrix(split, direction, ranking, extended=True)[rows]
    answer = _best_positive(ranking.top_ids[rows], labelled)
    shown = np.unique(np.append(top, answer[answer >= 0]))
    queries = _describe(split, "text" if direction == "t2i" else "image", query_ids)
    gallery_ids = [ranking.gallery_ids[item] for item in shown]
    items = _describe(split, "image" if direction == "t2i" else "text", gallery_ids)
    index = images.add([*queries.paths, *items.paths], source.ensure)
    return {
        "text": queries.texts,
        "thumbnail": [index[path] for path in queries.paths],
        "level": queries.levels,
        "top": np.searchsorted(shown, top).tolist(),
        "similarity": [[round(float(s), 4) for s in row] for row in ranking.top_scores[rows, :N_ITEMS]],
        "positive": _marks(top, labelled, also).tolist(),
        "answer": np.where(answer < 0, -1, np.searchsorted(shown, answer)).tolist(),
        "gallery": Gallery(gallery_ids, items.texts, [index[path] for path in items.paths]),
    }


class _Items(NamedTuple):
    """What cards show of images or texts; what they do not have is empty."""

    texts: list[str]
    paths: list[str]
    levels: list[str]


def _describe(split: Split, modality: Modality, ids: list[str]) -> _Items:
    blank = [""] * len(ids)
    if modality == "image":
        return _Items(blank, [split.image_paths[row] for row in row_numbers(split.image_ids, ids)], blank)
    rows = row_numbers(split.caption_ids, ids)
    levels = blank if split.levels is None else [split.levels[row] for row in rows]
    return _Items([split.captions[row] for row in rows], blank, levels)


def _best_positive(top_ids: np.ndarray, positives: csr_array) -> np.ndarray:
    """(Q,) the gallery index of the best positive among the best items, else of the first one; -1 without any."""
    best = np.full(len(top_ids), -1)
    for number, items in enumerate(top_ids):
        own = positives.indices[positives.indptr[number] : positives.indptr[number + 1]]
        if len(own):
            is_positive = np.isin(items, own)
            best[number] = items[is_positive.argmax()] if is_positive.any() else own.min()
    return best


def _marks(top: np.ndarray, labelled: csr_array, extended: csr_array | None) -> np.ndarray:
    """(Q, N_ITEMS) `LABELLED`, `EXTENDED` or 0 for each of the best items."""
    marks = np.zeros(top.shape, dtype=int)
    for mark, positives in ((EXTENDED, extended), (LABELLED, labelled)):
        if positives is not None:
            own = np.split(positives.indices, positives.indptr[1:-1])
            marks[[np.isin(items, of_query) for items, of_query in zip(top, own, strict=True)]] = mark
    return marks
