"""The one heavy pass over queries x gallery, and what it leaves behind per query.

Similarity is the dot product of unit embeddings in each sample, averaged over the samples (float32). The captions are
streamed in blocks; a block's product with all images serves both directions, and no M x N matrix is ever whole.
Among equal similarities the smaller gallery index comes first, everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from overtop.arrays import decode, encode, read_arrays, write_arrays
from overtop.device import default_device
from overtop.errors import OvertopError
from overtop.store import EmbeddingSource
from overtop.terms import DIRECTIONS, Direction

if TYPE_CHECKING:  # torch is imported where it is needed: reading a ranking must stay cheap
    import torch

SCHEMA = "ranking/2"
BLOCK = 2048


@dataclass(frozen=True)
class Ranking:
    """What the ranking pass keeps of Q queries over a gallery of N items, S samples.

    Attributes:
        query_ids: Q names.
        gallery_ids: N names.
        top_ids: (Q, K) int32 gallery indices, best first by mean similarity.
        top_scores: (Q, K) float32, their mean similarities.
        sample_top: (Q, S, k) int32 gallery indices, the best k in each sample.
        temperatures: T temperatures, rising, at which the softmax over the gallery is summed up.
        log_partition: (Q, T) float64, log of the sum of exp((s - s_(1))/temperature) over the gallery, s the mean
            similarity and s_(1) its largest value; 0 or more.
        mean_gap: (Q, T) float64, s_(1) less the mean of s under the softmax; 0 or more.
    """

    query_ids: list[str]
    gallery_ids: list[str]
    top_ids: np.ndarray
    top_scores: np.ndarray
    sample_top: np.ndarray
    temperatures: tuple[float, ...] = ()
    log_partition: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    mean_gap: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    @property
    def n_samples(self) -> int:
        """S."""
        return self.sample_top.shape[1]

    def softmax_at(self, temperature: float) -> tuple[np.ndarray, np.ndarray]:
        """`log_partition` and `mean_gap` at one temperature, each (Q,).

        Raises:
            OvertopError: the ranking was made without that temperature.
        """
        if temperature not in self.temperatures:
            kept = ", ".join(map(str, self.temperatures)) or "none"
            raise OvertopError(f"the ranking kept no softmax at temperature {temperature} (kept: {kept}); rank again")
        column = self.temperatures.index(temperature)
        return self.log_partition[:, column], self.mean_gap[:, column]


def rank(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    top: int,
    vote_top: int = 5,
    device: str | None = None,
    block: int = BLOCK,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Direction, Ranking]:
    """Rank images for every caption (`t2i`) and captions for every image (`i2t`) in one pass.

    Memory: all samples of the images, one block of captions x images, and the outputs.

    Args:
        images: N items, S samples.
        texts: M items, S samples.
        top: K, how many items of the mean similarity to keep (all, if the gallery is smaller).
        vote_top: k, how many items of each sample's similarity to keep.
        device: a torch device; by default the GPU if there is one.
        block: captions per block.
        progress: called after each block with the captions done and their number.

    Raises:
        OvertopError: the sources differ in samples or dimensions, one is empty, or an embedding is zero or not finite.
    """
    import torch

    _check(images, texts)
    device = device or default_device()
    gallery = [unit(images, s, slice(0, images.n_items), device) for s in range(images.n_samples)]
    mean_down = _Running(top, images.n_items, device)
    sample_down = [_Running(vote_top, images.n_items, device) for _ in gallery]
    mean_across, sample_across = [], []
    for start in range(0, texts.n_items, block):
        stop = min(start + block, texts.n_items)
        mean = torch.zeros(stop - start, images.n_items, device=device)
        votes = []
        for s, members in enumerate(gallery):
            product = unit(texts, s, slice(start, stop), device) @ members.T
            mean += product
            votes.append(stable_topk(product, vote_top)[1].to(torch.int32))
            sample_down[s].update(product, start)
        mean /= len(gallery)
        mean_across.append([part.cpu().numpy() for part in stable_topk(mean, top)])
        sample_across.append(torch.stack(votes, dim=1).cpu().numpy())
        mean_down.update(mean, start)
        if progress is not None:
            progress(stop, texts.n_items)
    scores, ids = (np.concatenate(parts) for parts in zip(*mean_across, strict=True))
    per_image = torch.stack([running.ids for running in sample_down], dim=1)
    return {
        "t2i": Ranking(texts.item_ids, images.item_ids, ids.astype(np.int32), scores, np.concatenate(sample_across)),
        "i2t": Ranking(
            images.item_ids,
            texts.item_ids,
            mean_down.ids.to(torch.int32).cpu().numpy(),
            mean_down.scores.cpu().numpy(),
            per_image.to(torch.int32).cpu().numpy(),
        ),
    }


class _Running:
    """The best k rows of each column of a matrix that arrives in blocks of rows."""

    def __init__(self, k: int, columns: int, device: str) -> None:
        import torch

        self.k = k
        self.scores = torch.empty(columns, 0, device=device)
        self.ids = torch.empty(columns, 0, dtype=torch.int64, device=device)

    def update(self, block: torch.Tensor, offset: int) -> None:
        """Take in rows `offset` and following. Kept ones stand first, so that the stable order prefers them."""
        import torch

        scores, ids = stable_topk(block.T, self.k)
        scores = torch.cat([self.scores, scores], dim=1)
        ids = torch.cat([self.ids, ids + offset], dim=1)
        self.scores, order = stable_topk(scores, self.k)
        self.ids = ids.gather(1, order)


def stable_topk(matrix: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k largest of each row, best first; among equals the smaller index first.

    `torch.topk` leaves the order of equals open, so rows with a tie among the best k + 1 are sorted in full.

    Returns:
        Values and indices, both (rows, min(k, columns)).
    """
    k = min(k, matrix.shape[1])
    values, indices = matrix.topk(min(k + 1, matrix.shape[1]), dim=1)
    tied = (values[:, 1:] == values[:, :-1]).any(dim=1).nonzero().flatten()
    values, indices = values[:, :k], indices[:, :k].clone()
    if tied.numel():
        indices[tied] = matrix[tied].sort(dim=1, descending=True, stable=True).indices[:, :k]
    return values, indices


def unit(
    source: EmbeddingSource, sample: int, rows: slice | np.ndarray, device: str, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """Embeddings of one sample at length one, (rows, D), float32 unless `dtype` says otherwise.

    Args:
        source: where they are.
        sample: which sample.
        rows: which items: a slice with both ends, or rising indices.
        device: where they shall be.
        dtype: in which precision.

    Raises:
        OvertopError: an embedding is zero or not finite; the item is named.
    """
    import torch

    picked = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
    start, stop = int(picked[0]), int(picked[-1]) + 1
    span = source.read(sample, start, stop)
    raw = torch.as_tensor(span if len(picked) == len(span) else span[picked - start], device=device, dtype=dtype)
    length = torch.linalg.vector_norm(raw, dim=1, keepdim=True)
    broken = (~(torch.isfinite(length) & (length > 0))).flatten().nonzero().flatten()
    if broken.numel():
        name = source.item_ids[picked[int(broken[0])]]
        raise OvertopError(
            f"the embedding of item {name!r} in sample {sample} is zero or not finite ({broken.numel()} such items); "
            "remove the item or embed it again"
        )
    return raw / length


def write_ranking(path: str | Path, rankings: Mapping[Direction, Ranking], attributes: Mapping[str, Any]) -> None:
    """Write the rankings of both directions with their provenance (JSON-able) to one HDF5 file."""
    arrays = {}
    for direction, ranking in rankings.items():
        arrays[f"{direction}/query_ids"] = encode(ranking.query_ids)
        arrays[f"{direction}/gallery_ids"] = encode(ranking.gallery_ids)
        for name in ("top_ids", "top_scores", "sample_top"):
            arrays[f"{direction}/{name}"] = getattr(ranking, name)
    write_arrays(path, SCHEMA, arrays, attributes)


def read_ranking(path: str | Path) -> tuple[dict[Direction, Ranking], dict[str, Any]]:
    """The rankings and attributes that `write_ranking` wrote.

    Raises:
        OvertopError: the file is missing, truncated, altered, or of another kind.
    """
    arrays, attributes = read_arrays(path, SCHEMA)
    rankings = {
        direction: Ranking(
            query_ids=decode(arrays[f"{direction}/query_ids"]),
            gallery_ids=decode(arrays[f"{direction}/gallery_ids"]),
            **{name: arrays[f"{direction}/{name}"] for name in ("top_ids", "top_scores", "sample_top")},
        )
        for direction in DIRECTIONS
    }
    return rankings, attributes


def _check(images: EmbeddingSource, texts: EmbeddingSource) -> None:
    if images.dims != texts.dims:
        raise OvertopError(
            f"images have samples of dimensions {images.dims}, texts {texts.dims}; "
            "both must come from the same encoders and the same number of passes"
        )
    if not images.n_items or not texts.n_items:
        empty = "images" if not images.n_items else "texts"
        raise OvertopError(f"there are no {empty} to rank; look at the data set's split")
