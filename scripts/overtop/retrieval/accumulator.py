"""Accumulating the rankings of the queries of one direction while blocks of their gallery pass."""

from typing import NamedTuple

import numpy as np
import torch

from overtop.retrieval.ranking import Ranking
from overtop.retrieval.softmax_sums import SoftmaxSums
from overtop.retrieval.topk import TopK
from overtop.storage.shards import EmbeddingSource


class RankingContents(NamedTuple):
    """What a ranking is to contain.

    Attributes:
        top: number of best items by mean similarity.
        vote_top: number of best items in each sample.
        temperatures: ascending temperatures of the softmax over the gallery.
    """

    top: int
    vote_top: int
    temperatures: tuple[float, ...]


class QueryAccumulator:
    """Accumulates the ranking of a gallery for every query.

    Args:
        queries: Q queries.
        gallery: N items, of which blocks are added in ascending order.
        contents: what the ranking is to contain.
        device: torch device of the blocks.
    """

    def __init__(
        self, queries: EmbeddingSource, gallery: EmbeddingSource, contents: RankingContents, device: str
    ) -> None:
        self._query_ids, self._gallery_ids = queries.item_ids, gallery.item_ids
        self._temperatures = contents.temperatures
        self._top = min(contents.top, gallery.n_items)
        self._vote_top = min(contents.vote_top, gallery.n_items)
        single = queries.n_samples == 1  # then the mean is the sample
        mean_top = max(self._top, self._vote_top) if single else self._top
        self._mean_topk = TopK(queries.n_items, mean_top, device)
        self._sample_topks = (
            [] if single else [TopK(queries.n_items, self._vote_top, device) for _ in range(queries.n_samples)]
        )
        self._softmax = SoftmaxSums(queries.n_items, contents.temperatures, device)

    def add_sample(self, sample: int, block: torch.Tensor, queries: slice, items: slice) -> None:
        """Add a block of similarities in one sample.

        Args:
            sample: number of the sample.
            block: as in `TopK.update`; rows are queries, columns are items.
            queries: queries of the first rows.
            items: items of the first columns.
        """
        self._sample_topks[sample].update(block, queries, items.start)

    def add_mean(self, block: torch.Tensor, queries: slice, items: slice) -> None:
        """Add a block of mean similarities; arguments as in `add_sample`."""
        self._mean_topk.update(block, queries, items.start)
        unpadded = block[: queries.stop - queries.start, : items.stop - items.start]
        self._softmax.update(unpadded, queries, items.start, self._mean_topk)

    def ranking(self) -> Ranking:
        """Return the ranking, after all blocks of the gallery."""
        scores, ids = self._mean_topk.results()
        votes = [topk.results()[1] for topk in self._sample_topks] or [ids[:, : self._vote_top]]
        log_partition, mean_gap = self._softmax.results()
        return Ranking(
            query_ids=self._query_ids,
            gallery_ids=self._gallery_ids,
            top_ids=ids[:, : self._top],
            top_scores=scores[:, : self._top],
            sample_top=np.stack(votes, axis=1),
            temperatures=self._temperatures,
            log_partition=log_partition,
            mean_gap=mean_gap,
        )
