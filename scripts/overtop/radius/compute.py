"""How far a query must move before its top-1 changes: exactly, linearly, and by the paper's walk.

Two spaces, one per protocol. `published`: the mean over samples of the un-normalised embeddings, with the ranking of
that mean and the query at its own length. `corrected`: the samples' unit embeddings concatenated, divided by sqrt(S);
the cosine there is the mean similarity, and the query has length one.

Defined values: a gallery that holds the top-1 twice, or a tie for the first place, gives 0. A gallery of one item gives
infinity for `exact` and `linear` and step x iterations for `walk`. So does a rival exactly opposite to the top-1 as the
query sees it, where the gradient of Eq. 12 vanishes, but for `exact`, which is finite there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count

import numpy as np

from overtop.device import default_device
from overtop.radius.exact import Boundary, boundary
from overtop.radius.geometry import Space
from overtop.radius.pgd import Limits, walk
from overtop.radius.radii import Radii, Radius
from overtop.retrieval.exact import rank
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.vectors import SPAN, mean_of, rescore
from overtop.storage.shards import EmbeddingSource
from overtop.terms import Direction


def radii(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    rankings: Mapping[Direction, Ranking],
    step: float = 0.025,
    iterations: int = 50,
    candidates: int = 16,
    beyond: bool = True,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Direction, Radii]:
    """Radii of every query in both spaces, in the directions that were ranked.

    Args:
        images: the N images that were ranked.
        texts: the M captions that were ranked.
        rankings: what `rank` returned for them, or `search`.
        step: length of one step of the walk (paper: 0.025).
        iterations: at most so many steps (paper: 50).
        candidates: how many of a query's best items take part in its walk at first.
        beyond: read the gallery for the queries whose ranking proves nothing. Without it, for a ranking that an
            approximate search found, all lengths are judged by the items found alone.
        device: a torch device for the products; by default the GPU if there is one.
        progress: called with the parts done and their number.

    Raises:
        OvertopError: an embedding is zero or not finite, also after averaging over samples.
    """
    device = device or default_device()
    limits = Limits(step, iterations)
    averaged = len(set(images.dims)) == 1
    means = (mean_of(images), mean_of(texts)) if averaged and images.n_samples > 1 else None
    mean_rankings = _rank_means(*means, rankings, beyond, device) if means else {}
    total = len(rankings) * (2 if averaged else 1)
    told = count(1)

    def measure(space: Space, near: Boundary, length: np.ndarray) -> Radius:
        walked = walk(space, length, limits, candidates, beyond)
        if progress is not None:
            progress(next(told), total)
        return Radius(length * near.exact, length * near.linear, walked, near.certified, space.top1.astype(np.int32))

    result: dict[Direction, Radii] = {}
    for direction, ranking in rankings.items():
        space = Space(*_turned(direction, images, texts), ranking, device)
        near = boundary(space, beyond)
        corrected = measure(space, near, np.ones(len(space.top1)))
        if means:  # else the mean of one sample is that sample
            space = Space(*_turned(direction, *means), mean_rankings[direction], device)
            near = boundary(space, beyond)
            if not beyond:  # the items found are the best ones of the other space
                near = replace(near, certified=np.zeros_like(near.certified))
        published = measure(space, near, _lengths(space.queries)) if averaged else None
        result[direction] = Radii(published, corrected)
    return result


def _rank_means(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    rankings: Mapping[Direction, Ranking],
    beyond: bool,
    device: str,
) -> dict[Direction, Ranking]:
    """Rankings by mean embeddings: of the whole gallery, or of the items that each ranking holds."""
    width = max(ranking.top_ids.shape[1] for ranking in rankings.values())
    if beyond:
        return rank(images, texts, top=width, vote_top=1, device=device)
    ordered = {}
    for direction, ranking in rankings.items():
        ids, scores = rescore(*_turned(direction, images, texts), ranking.top_ids, device)
        ordered[direction] = Ranking(ranking.query_ids, ranking.gallery_ids, ids, scores, ids[:, None, :1])
    return ordered


def _lengths(source: EmbeddingSource) -> np.ndarray:
    """(n,) lengths of the embeddings of a source's first sample."""
    spans = [source.read(0, start, min(start + SPAN, source.n_items)) for start in range(0, source.n_items, SPAN)]
    return np.concatenate([np.linalg.norm(span.astype(np.float64), axis=1) for span in spans])


def _turned(
    direction: Direction, images: EmbeddingSource, texts: EmbeddingSource
) -> tuple[EmbeddingSource, EmbeddingSource]:
    """(queries, gallery)."""
    return (texts, images) if direction == "t2i" else (images, texts)
