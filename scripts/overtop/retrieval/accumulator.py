"""Accumulating the rankings of the queries of one direction while blocks of their gallery pass."""

from typing import NamedTuple

import numpy as np
import torch

from overtop.memory import CACHE_BYTES, blocks
from overtop.retrieval.duplicates import DistinctItems
from overtop.retrieval.groups import BlockGroups, GroupedItems
from overtop.retrieval.normalisation import Normalisation, NormalisedRanking
from overtop.retrieval.normalised_sums import NormalisedSums
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.rivals import complete_rivals, rivals_among
from overtop.retrieval.softmax_sums import SoftmaxSums
from overtop.retrieval.topk import TopK

RERANKED_TOP = 10
"""Best items by normalised similarity that are kept: as many as R@10 needs."""


class RankingContents(NamedTuple):
    """What a ranking is to contain.

    Attributes:
        top: number of best items by mean similarity.
        vote_top: number of best items in each sample.
        temperatures: ascending temperatures of the softmax over the gallery.
        rivals: whether to find the best items of other groups than that of the top-1.
    """

    top: int
    vote_top: int
    temperatures: tuple[float, ...]
    rivals: bool = True


class QueryAccumulator:
    """Accumulates the ranking of a gallery for every query, among distinct queries and distinct items.

    Args:
        queries: the queries.
        gallery: the gallery, of which blocks of distinct items are added in ascending order.
        contents: what the ranking is to contain.
        normalisation: offsets of the items of the gallery, copies included; None for none.
        device: torch device of the blocks.
        part: the distinct queries to accumulate rankings of; all by default.
    """

    def __init__(
        self,
        queries: DistinctItems,
        gallery: GroupedItems,
        contents: RankingContents,
        normalisation: Normalisation | None,
        device: str,
        part: slice | None = None,
    ) -> None:
        self._queries, self._gallery, self._contents, self._device = queries, gallery, contents, device
        self._part = part or slice(0, queries.source.n_items)
        rows, items = self._part.stop - self._part.start, gallery.items.source.n_items
        samples = queries.source.n_samples
        top, vote_top = min(contents.top, items), min(contents.vote_top, items)
        self._mean_topk = TopK(rows, max(top, vote_top) if samples == 1 else top, device)  # a single sample is the mean
        self._sample_topks = [TopK(rows, vote_top, device) for _ in range(samples)] if samples > 1 else []
        self._softmax = SoftmaxSums(rows, contents.temperatures, gallery.are_single, device)
        self._normalised = {}
        if normalisation is not None:
            arguments = rows, min(RERANKED_TOP, items), normalisation.temperature
            for name, offsets in normalisation.offsets.items():
                self._normalised[name] = NormalisedSums(*arguments, offsets[gallery.items.rows], device)

    def add_sample(self, sample: int, block: torch.Tensor, queries: slice, items: slice) -> None:
        """Add a block of similarities in one sample.

        Args:
            sample: number of the sample.
            block: as in `TopK.update`; rows are queries, columns are items.
            queries: queries of the first rows.
            items: items of the first columns.
        """
        self._sample_topks[sample].update(block, self._rows(queries), items.start)

    def add_mean(self, block: torch.Tensor, queries: slice, items: slice) -> None:
        """Add a block of mean similarities; arguments as in `add_sample`."""
        groups = None if self._gallery.are_single else self._gallery.within(items, self._device)
        queries = self._rows(queries)
        if block.device.type != "cpu" or not block.is_contiguous():
            self._add_rows(block, queries, items, groups)
            return
        for rows in blocks(queries.stop - queries.start, 4 * block.shape[1], CACHE_BYTES):
            self._add_rows(block[rows], slice(queries.start + rows.start, queries.start + rows.stop), items, groups)

    def _rows(self, queries: slice) -> slice:
        """Return the rows of some queries."""
        return slice(queries.start - self._part.start, queries.stop - self._part.start)

    def _add_rows(self, block: torch.Tensor, queries: slice, items: slice, groups: BlockGroups | None) -> None:
        self._mean_topk.update(block, queries, items.start)
        unpadded = block[: queries.stop - queries.start, : items.stop - items.start]
        self._softmax.update(unpadded, queries, items.start, self._mean_topk, groups)
        for sums in self._normalised.values():
            sums.update(block, queries, items, self._mean_topk, groups)

    def merge(self, other: "QueryAccumulator") -> None:
        """Add what was accumulated of some of the queries over later items of the gallery, with whole groups.

        Args:
            other: accumulator with the same arguments, of the same or fewer queries.
        """
        rows = self._rows(other._part)
        is_later = other._mean_topk.best_entries(other._all)[0] > self._mean_topk.best_entries(rows)[0]
        self._mean_topk.merge(other._mean_topk, rows)
        for topk, further in zip(self._sample_topks, other._sample_topks, strict=True):
            topk.merge(further, rows)
        self._softmax.merge(other._softmax, rows)
        for name, sums in self._normalised.items():
            sums.merge(other._normalised[name], rows, is_later)

    @property
    def _all(self) -> slice:
        """All rows."""
        return self._rows(self._part)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the whole state by name, each (number of queries, ...): what `merge` and `ranking` read."""
        parts: dict[str, TopK | SoftmaxSums | NormalisedSums] = {"top": self._mean_topk, "softmax": self._softmax}
        parts |= {f"samples/{number}": topk for number, topk in enumerate(self._sample_topks)}
        parts |= {f"normalised/{name}": sums for name, sums in self._normalised.items()}
        return {f"{name}/{key}": values for name, part in parts.items() for key, values in part.tensors().items()}

    def ranking(self) -> Ranking:
        """Return the ranking of all queries and items, copies included, after all blocks of the gallery."""
        scores, ids = self._mean_topk.results()
        top = self._contents.top
        top_ids, top_scores = self._expand(ids, scores, top)
        votes = [topk.results() for topk in self._sample_topks] or [(scores, ids)]
        sample_top = [self._expand(voted, of_votes, self._contents.vote_top)[0] for of_votes, voted in votes]
        rival_ids, rival_scores = self._rivals(ids[:, :top], scores[:, :top])
        sums = self._softmax.results()
        repeat = self._queries.repeat
        return Ranking(
            query_ids=self._queries.item_ids,
            gallery_ids=self._gallery.items.item_ids,
            top_ids=top_ids,
            top_scores=top_scores,
            sample_top=np.stack(sample_top, axis=1),
            temperatures=self._contents.temperatures,
            log_partition=repeat(sums.log_partition),
            mean_gap=repeat(sums.mean_gap),
            groups=self._gallery.groups,
            group_log_partition=repeat(sums.group_log_partition),
            group_entropy=repeat(sums.group_entropy),
            rival_ids=repeat(self._gallery.items.rows[rival_ids].astype(np.int32)),
            rival_scores=repeat(rival_scores),
            normalised={name: self._normalised_ranking(of_name) for name, of_name in self._normalised.items()},
        )

    def _rivals(self, ids: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the best items of other groups, among distinct items, and their similarities, each (rows, R)."""
        if not self._contents.rivals:
            return np.empty((len(ids), 0), dtype=np.int32), np.empty((len(ids), 0), dtype=np.float32)
        rivals = rivals_among(ids, scores, self._gallery.group_of_item)
        complete_rivals(self._queries.source, self._gallery, ids[:, 0], rivals, self._device)
        return rivals

    def _normalised_ranking(self, sums: NormalisedSums) -> NormalisedRanking:
        scores, ids = sums.best_items()
        return NormalisedRanking(
            self._queries.repeat(sums.neg_log_probability()), self._expand(ids, scores, RERANKED_TOP)[0]
        )

    def _expand(self, ids: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k best items of all queries and their scores, from the distinct items of distinct queries."""
        expanded = self._gallery.items.expand(ids, scores, min(k, len(self._gallery.groups)))
        return self._queries.repeat(expanded[0]), self._queries.repeat(expanded[1])
