"""The estimators as plain loops over queries, from the embeddings: what one writes down first, and what papers release.

Each reads one query. The similarity estimators start from its whole row of similarities and its votes (`Plain.seen`,
timed apart as the ranking of the reference); the adversarial ones search among embeddings themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from bench.passes import TEMPERATURES, VOTE_TOP
from helpers import oracles
from overtop.storage.shards import EmbeddingSource

SOFTMAX_TEMPERATURE, DIRICHLET_TEMPERATURE = TEMPERATURES.softmax, TEMPERATURES.dirichlet


@dataclass(frozen=True)
class Seen:
    """One query: its mean similarities (N,), each sample's best items, its raw mean embedding, and the gallery's."""

    scores: np.ndarray
    lists: list[list[int]]
    query: np.ndarray
    gallery: "Gallery"


@dataclass(frozen=True)
class Gallery:
    """The mean over samples of the raw embeddings, (N, D) float64."""

    raw: np.ndarray

    @cached_property
    def unit32(self) -> torch.Tensor:
        """At length one, in float32."""
        return torch.nn.functional.normalize(torch.as_tensor(self.raw, dtype=torch.float32), dim=1)


class Plain:
    """Some queries of one direction and the whole gallery, float64."""

    def __init__(self, queries: EmbeddingSource, gallery: EmbeddingSource, chosen: np.ndarray) -> None:
        raw = [queries.read(s, 0, queries.n_items)[chosen] for s in range(queries.n_samples)]
        items = [gallery.read(s, 0, gallery.n_items) for s in range(gallery.n_samples)]
        self._queries, self._items = [oracles.unit(x) for x in raw], [oracles.unit(x) for x in items]
        self._raw, self._gallery = (
            np.mean(raw, axis=0, dtype=np.float64),
            Gallery(np.mean(items, axis=0, dtype=np.float64)),
        )

    def seen(self, number: int) -> Seen:
        """One of the chosen queries, ranked: a product and a sort for each sample."""
        samples = [items @ queries[number] for queries, items in zip(self._queries, self._items, strict=True)]
        lists = [np.argsort(-row, kind="stable")[:VOTE_TOP].tolist() for row in samples]
        return Seen(np.mean(samples, axis=0), lists, self._raw[number], self._gallery)


@dataclass(frozen=True)
class Reference:
    """A plain loop.

    Attributes:
        words: what it does.
        uncertainty: of one query.
        estimators: whose definition it is.
        also: estimators whose question it answers by another definition.
        searches: it works on the embeddings, without a ranking.
    """

    words: str
    uncertainty: Callable[[Seen], float]
    estimators: tuple[str, ...]
    also: tuple[str, ...] = ()
    searches: bool = False


def lean_walk(query: np.ndarray, gallery: torch.Tensor, step: float = 0.025, iterations: int = 50) -> float:
    """The walk by autograd in float32, with all that is the same in each step done once."""
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


AUTOGRAD = "walk by autograd (oracle, float64)"
REFERENCES = (
    Reference("best of the row", lambda seen: 1 - max(seen.scores), ("top1_similarity",)),
    Reference(
        "mode of the votes",
        lambda seen: 1 - oracles.mode_share([row[0] for row in seen.lists]),
        ("top1_consistency",),
    ),
    Reference(
        "Jaccard index with the most voted",
        lambda seen: 1 - oracles.jaccard_with_most_voted(seen.lists, VOTE_TOP),
        ("topk_consistency",),
    ),
    Reference(
        AUTOGRAD,
        lambda seen: 1 - np.tanh(oracles.walk(seen.query, seen.gallery.raw)),
        ("adversarial_pgd",),
        also=("adversarial_exact",),
        searches=True,
    ),
    Reference(
        "walk by autograd (lean, float32)",
        lambda seen: 1 - np.tanh(lean_walk(seen.query, seen.gallery.unit32)),
        (),
        also=("adversarial_pgd", "adversarial_exact"),
        searches=True,
    ),
    Reference(
        "gradient by autograd",
        lambda seen: 1 - np.tanh(oracles.linear(seen.query, seen.gallery.raw)),
        ("adversarial_linear",),
        searches=True,
    ),
    Reference(
        "loop of the closed form",
        lambda seen: 1 - np.tanh(oracles.exact(seen.query, seen.gallery.raw)),
        ("adversarial_exact",),
        searches=True,
    ),
    Reference("best two of the sorted row", lambda seen: 1 - oracles.margin(seen.scores), ("margin",)),
    Reference("softmax of the row", lambda seen: oracles.entropy(seen.scores, SOFTMAX_TEMPERATURE), ("entropy",)),
    Reference(
        "softmax of the row", lambda seen: 1 - oracles.max_softmax(seen.scores, SOFTMAX_TEMPERATURE), ("max_softmax",)
    ),
    Reference("log-sum-exp of the row", lambda seen: 1 - oracles.energy(seen.scores, SOFTMAX_TEMPERATURE), ("energy",)),
    Reference(
        "digamma of the row",
        lambda seen: oracles.dirichlet_entropy(seen.scores, DIRICHLET_TEMPERATURE),
        ("dirichlet_entropy",),
    ),
    Reference(
        "sum of the row",
        lambda seen: oracles.dirichlet_vacuity(seen.scores, DIRICHLET_TEMPERATURE),
        ("dirichlet_vacuity",),
    ),
)
