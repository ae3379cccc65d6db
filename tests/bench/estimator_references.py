"""The estimators as plain loops over queries, which start from the embeddings, as papers and released code write them.

Each loop handles one query. Those of the similarity and consistency estimators start from the query's similarities and
its votes (`ReferenceRanker.rank`, timed separately); those of the adversarial ones use the embeddings themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from helpers import oracles
from overtop.storage.shards import EmbeddingSource
from overtop.terms import DIRICHLET_TEMPERATURE, SOFTMAX_TEMPERATURE, VOTE_TOP


@dataclass(frozen=True)
class MeanGallery:
    """The gallery embeddings, un-normalised and averaged over samples: (N, D) float64."""

    raw: np.ndarray

    @cached_property
    def normalised_float32(self) -> torch.Tensor:
        """The same embeddings scaled to length 1, in float32."""
        return torch.nn.functional.normalize(torch.as_tensor(self.raw, dtype=torch.float32), dim=1)


@dataclass(frozen=True)
class RankedQuery:
    """One query, as the plain loops see it.

    Attributes:
        scores: (N,) mean similarity to each gallery item.
        votes: the best items of each sample, S lists.
        embedding: (D,) un-normalised embedding, averaged over samples.
        gallery: the gallery.
    """

    scores: np.ndarray
    votes: list[list[int]]
    embedding: np.ndarray
    gallery: MeanGallery


class ReferenceRanker:
    """Ranks a few queries of one direction against the whole gallery in float64.

    Args:
        queries: all queries of the direction.
        gallery: all gallery items.
        selected: which queries to rank, as indices.
    """

    def __init__(self, queries: EmbeddingSource, gallery: EmbeddingSource, selected: np.ndarray) -> None:
        raw_queries = [queries.read(s, 0, queries.n_items)[selected] for s in range(queries.n_samples)]
        raw_items = [gallery.read(s, 0, gallery.n_items) for s in range(gallery.n_samples)]
        self._queries = [oracles.normalise(sample) for sample in raw_queries]
        self._items = [oracles.normalise(sample) for sample in raw_items]
        self._mean_queries = np.mean(raw_queries, axis=0, dtype=np.float64)
        self._mean_gallery = MeanGallery(np.mean(raw_items, axis=0, dtype=np.float64))

    def rank(self, number: int) -> RankedQuery:
        """Rank one of the selected queries: one product and one sort per sample."""
        samples = [items @ queries[number] for queries, items in zip(self._queries, self._items, strict=True)]
        votes = [np.argsort(-row, kind="stable")[:VOTE_TOP].tolist() for row in samples]
        return RankedQuery(np.mean(samples, axis=0), votes, self._mean_queries[number], self._mean_gallery)


@dataclass(frozen=True)
class Reference:
    """A plain loop.

    Attributes:
        description: what it computes, for the table.
        uncertainty: function of one query.
        estimators: estimators that it defines; their values must agree.
        also: estimators of the same quantity with another definition; only times are compared.
        needs_ranking: whether its time includes that of `ReferenceRanker.rank`.
    """

    description: str
    uncertainty: Callable[[RankedQuery], float]
    estimators: tuple[str, ...]
    also: tuple[str, ...] = ()
    needs_ranking: bool = True


def pgd_radius_float32(query: np.ndarray, gallery: torch.Tensor, step: float = 0.025, iterations: int = 50) -> float:
    """Compute `oracles.pgd_radius` by autograd in float32, with everything constant moved out of the loop."""
    start = torch.as_tensor(query, dtype=torch.float32)
    first = int((gallery @ start).argmax())
    top, others = gallery[first], gallery[torch.arange(len(gallery)) != first]
    x = start
    for _ in range(iterations):
        x = x.detach().requires_grad_(True)
        unit = torch.nn.functional.normalize(x, dim=0)
        loss = top @ unit - (others @ unit).max()
        if loss <= 0:
            break
        (gradient,) = torch.autograd.grad(loss, x)
        x = x - step * gradient / gradient.norm()
    return float((x.detach() - start).norm())


def _consistency_of_top1(query: RankedQuery) -> float:
    return 1 - oracles.mode_share([row[0] for row in query.votes])


def _consistency_of_topk(query: RankedQuery) -> float:
    return 1 - oracles.jaccard_with_most_voted(query.votes, VOTE_TOP)


def _from_radius(radius: float) -> float:
    """Return the uncertainty of the adversarial estimators for a radius."""
    return 1 - np.tanh(radius)


PGD_BY_AUTOGRAD = "PGD by autograd, float64"
REFERENCES = (
    Reference("largest similarity", lambda query: 1 - max(query.scores), ("top1_similarity",)),
    Reference("mode of the votes", _consistency_of_top1, ("top1_consistency",)),
    Reference("Jaccard index with the most voted items", _consistency_of_topk, ("topk_consistency",)),
    Reference(
        PGD_BY_AUTOGRAD,
        lambda query: _from_radius(oracles.pgd_radius(query.embedding, query.gallery.raw)),
        ("adversarial_pgd",),
        also=("adversarial_exact",),
        needs_ranking=False,
    ),
    Reference(
        "PGD by autograd, float32, constants precomputed",
        lambda query: _from_radius(pgd_radius_float32(query.embedding, query.gallery.normalised_float32)),
        (),
        also=("adversarial_pgd", "adversarial_exact"),
        needs_ranking=False,
    ),
    Reference(
        "gradient of the margin by autograd",
        lambda query: _from_radius(oracles.linear_radius(query.embedding, query.gallery.raw)),
        ("adversarial_linear",),
        needs_ranking=False,
    ),
    Reference(
        "distance to each decision boundary",
        lambda query: _from_radius(oracles.exact_radius(query.embedding, query.gallery.raw)),
        ("adversarial_exact",),
        needs_ranking=False,
    ),
    Reference("two largest similarities", lambda query: 1 - oracles.margin(query.scores), ("margin",)),
    Reference("softmax", lambda query: oracles.entropy(query.scores, SOFTMAX_TEMPERATURE), ("entropy",)),
    Reference("softmax", lambda query: 1 - oracles.max_softmax(query.scores, SOFTMAX_TEMPERATURE), ("max_softmax",)),
    Reference("log-sum-exp", lambda query: 1 - oracles.energy(query.scores, SOFTMAX_TEMPERATURE), ("energy",)),
    Reference(
        "digamma function",
        lambda query: oracles.dirichlet_entropy(query.scores, DIRICHLET_TEMPERATURE),
        ("dirichlet_entropy",),
    ),
    Reference(
        "sum of the Dirichlet parameters",
        lambda query: oracles.dirichlet_vacuity(query.scores, DIRICHLET_TEMPERATURE),
        ("dirichlet_vacuity",),
    ),
)
