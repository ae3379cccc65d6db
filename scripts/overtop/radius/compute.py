"""Computing how far each query may move before its top-1 changes: exactly, linearly, and by the paper's PGD attack.

There is one space per protocol. `published`: the mean over samples of the un-normalised embeddings, with the ranking by
that mean and queries of their own length. `corrected`: the unit embeddings of the samples, concatenated and divided by
sqrt(S); the cosine there is the mean similarity, and queries have length one. There, items in the group of the top-1 do
not compete with it, and only the exact distance is computed, which the other two approximate.

Degenerate cases: a competing item equal to the top-1, or a tie for the first place, gives 0. A gallery in which no item
competes gives infinity for `exact` and `linear`, and step x iterations for `walk`. So does a rival exactly opposite to
the top-1 as seen from the query, where the gradient of Eq. 12 vanishes, except that `exact` is finite there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from overtop.device import default_device
from overtop.memory import READ_ITEMS
from overtop.progress import Progress, no_progress
from overtop.radius.exact import boundary_distances
from overtop.radius.geometry import Space
from overtop.radius.linear import linear_distances
from overtop.radius.pgd import pgd_distances
from overtop.radius.radii import PublishedRadius, Radii, Radius
from overtop.radius.trajectory import PgdSteps
from overtop.retrieval.exact import rank
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.reranking import rerank
from overtop.retrieval.sources import average_samples, queries_and_gallery
from overtop.storage.shards import EmbeddingSource
from overtop.terms import Direction


def compute_radii(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    rankings: Mapping[Direction, Ranking],
    *,
    step: float = 0.025,
    iterations: int = 50,
    scan_gallery: bool = True,
    candidates: int = 16,
    device: str | None = None,
    progress: Progress = no_progress,
) -> dict[Direction, Radii]:
    """Compute the radii of every query in both spaces, in the directions of the rankings.

    The exact distances do not depend on the rankings' block size, precision or threads, only on the embeddings.

    Args:
        images: the N images of the rankings.
        texts: the M captions of the rankings.
        rankings: what `rank` or `search` returned for them, with the groups of the gallery.
        step: length of one step of the PGD attack (paper: 0.025).
        iterations: largest number of its steps (paper: 50).
        scan_gallery: read the whole gallery for the queries whose ranking is too short to prove their distances. Set it
            to False for the rankings of an approximate search: it may have missed rivals, so distances are computed
            and certified only among the items it found.
        candidates: number of items of the ranking, the top-1 included, that take part in the PGD attack of every query.
            The others take part where the distances would not be proved otherwise.
        device: torch device; by default the GPU if there is one.
        progress: called with the spaces done and their total.

    Raises:
        OvertopError: an embedding, or its mean over samples, is zero or not finite.

    Example:
        >>> import numpy as np
        >>> from overtop.storage.shards import ArraySource
        >>> images, texts = ArraySource([np.eye(2)]), ArraySource([np.array([[0.6, 0.8]])])
        >>> radii = compute_radii(images, texts, rank(images, texts, top=2))
        >>> radii["t2i"].corrected.exact.round(4).tolist()  # (0.8 - 0.6) / sqrt(2)
        [0.1414]
    """
    device = device or default_device()
    steps = PgdSteps(step, iterations)
    samples = _RankedEmbeddings(images, texts, rankings)
    means = _average_embeddings(samples, device, scan_gallery)
    done, total = 0, len(rankings) * (2 if means else 1)
    radii: dict[Direction, Radii] = {}
    for direction in rankings:
        space = samples.space(direction, device, scan_gallery)
        corrected = boundary_distances(space, space.groups)
        done += 1
        progress(done, total)
        published = None
        if means:
            if means is samples:
                radius = corrected if space.groups is None else boundary_distances(space)
            else:
                space = means.space(direction, device, scan_gallery)
                radius = boundary_distances(space)
                if not scan_gallery:  # the ranking holds the best items of the other space, which proves nothing here
                    radius = replace(radius, certified=np.zeros_like(radius.certified))
            published = _published_radius(space, radius, steps, candidates)
            done += 1
            progress(done, total)
        radii[direction] = Radii(published, corrected)
    return radii


@dataclass(frozen=True)
class _RankedEmbeddings:
    """Images and captions in the form that one protocol compares, and their rankings in that form."""

    images: EmbeddingSource
    texts: EmbeddingSource
    rankings: Mapping[Direction, Ranking]

    def space(self, direction: Direction, device: str, scan_gallery: bool) -> Space:
        """Return the space of one direction."""
        queries, gallery = queries_and_gallery(direction, self.images, self.texts)
        return Space(queries, gallery, self.rankings[direction], device, scan_gallery)


def _average_embeddings(samples: _RankedEmbeddings, device: str, scan_gallery: bool) -> _RankedEmbeddings | None:
    """Return the mean embeddings over samples and their rankings.

    Args:
        samples: embeddings and rankings of S samples.
        device: torch device of the ranking.
        scan_gallery: rank the whole gallery; otherwise sort the items of the given rankings.

    Returns:
        `samples` itself if S is 1; None if the samples differ in dimension.
    """
    if len(set(samples.images.dims)) > 1:
        return None
    if samples.images.n_samples == 1:
        return samples
    images, texts = average_samples(samples.images), average_samples(samples.texts)
    if scan_gallery:
        top = max(ranking.top_ids.shape[1] for ranking in samples.rankings.values())
        return _RankedEmbeddings(images, texts, rank(images, texts, top=top, vote_top=1, device=device))
    rankings = {}
    for direction, ranking in samples.rankings.items():
        queries, gallery = queries_and_gallery(direction, images, texts)
        ids, scores = rerank(queries, gallery, ranking.top_ids, device)
        rankings[direction] = Ranking(ranking.query_ids, ranking.gallery_ids, ids, scores, ids[:, None, :1])
    return _RankedEmbeddings(images, texts, rankings)


def _published_radius(space: Space, radius: Radius, steps: PgdSteps, candidates: int) -> PublishedRadius:
    """Return the radius of the queries in their own length, given the exact one for queries of length one."""
    lengths = _read_lengths(space.queries)
    return PublishedRadius(
        exact=lengths * radius.exact,
        certified=radius.certified,
        top1=radius.top1,
        linear=lengths * linear_distances(space),
        walk=pgd_distances(space, lengths, steps, candidates=candidates),
    )


def _read_lengths(source: EmbeddingSource) -> np.ndarray:
    """Return the lengths of the embeddings in the first sample of a source, (n,) float64."""
    starts = range(0, source.n_items, READ_ITEMS)
    parts = [source.read(0, start, min(start + READ_ITEMS, source.n_items)) for start in starts]
    return np.concatenate([np.linalg.norm(part.astype(np.float64), axis=1) for part in parts])
