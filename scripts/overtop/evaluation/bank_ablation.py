"""What the bank estimators depend on: the size of the bank, their parameters, and whose queries are in the bank.

The similarities of one split are held in memory as a dense matrix, so that offsets of many banks are compared quickly.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.special import logsumexp

from overtop.evaluation.selective import measure_auroc_and_aurc
from overtop.retrieval.bank import NEAREST, SHRINKAGE
from overtop.seeds import derive_seed
from overtop.terms import BANK_ESTIMATORS

SIZES = (20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Sizes of the bank; those above that of the whole bank are left out."""

SEEDS = 5
"""Draws of each size."""

NEAREST_COUNTS = (1, 4, 16, 64, 256)
"""k of `bank_nnn`."""

SHRINKAGES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
"""alpha of `bank_nnn`."""

EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Exponent of the sum over the bank in `bank_softmax`, whose own is 1/2; that of QB-Norm is 1."""

MIN_BANK_WITH_TOPICS = 20
"""Least size of a bank from which topics are removed."""

COLUMNS = ["estimator", "varied", "value", "seed", "n_bank", "auroc", "aurc", "reranked_recall_at_1"]
"""Columns of the results."""

SOURCES = (
    "bank",
    "another topic missing",
    "own topic missing",
    "foreign",
    "bank of that size",
    "other modality",
    "none",
)
"""Values of `varied` = `source`. `own topic missing`: each query with the bank without the queries of its topic;
`another topic missing`: without those of another topic, the mean over all others. `bank of that size`: as many queries
as there are in `foreign`. `none`: without a bank, that is `max_softmax`."""


@dataclass(frozen=True)
class Gallery:
    """Evaluated queries and their gallery in one direction, whose uncertainty is to be measured with several banks.

    Attributes:
        similarity: (Q, N) mean similarities.
        positives: (Q, N) sparse, the labelled positives.
        groups: (N,) group of each item; items of a group do not compete.
        temperature: T of the softmax.
    """

    similarity: np.ndarray
    positives: csr_array
    groups: np.ndarray
    temperature: float

    @cached_property
    def top1(self) -> np.ndarray:
        """(Q,) the most similar item."""
        return self.similarity.argmax(axis=1)

    @cached_property
    def competes(self) -> np.ndarray:
        """(Q, N) bool, whether an item is of another group than the top-1."""
        return self.groups[None, :] != self.groups[self.top1][:, None]

    def is_hit(self, items: np.ndarray) -> np.ndarray:
        """(Q,) bool, whether an item (Q,) is a positive of each query."""
        return self.positives[np.arange(len(items)), items].astype(bool)

    def uncertainty(self, offsets: np.ndarray) -> np.ndarray:
        """(Q,) one minus the probability of the top-1's group by the softmax of the similarities minus offsets (N,)."""
        logits = (self.similarity - offsets) / self.temperature
        others = logsumexp(np.where(self.competes, logits, -np.inf), axis=1)
        return np.exp(others - logsumexp(logits, axis=1))

    def measure(self, offsets: np.ndarray, queries: np.ndarray | slice = slice(None)) -> dict[str, float]:
        """AUROC and AURC of `uncertainty`, and the R@1 of the items that are best by the similarities minus offsets."""
        reranked = self.is_hit((self.similarity - offsets).argmax(axis=1))
        return self._summarise(self.uncertainty(offsets)[queries], self.is_hit(self.top1)[queries], reranked[queries])

    def measure_own_topic_missing(self, offsets: list[np.ndarray], topics: np.ndarray) -> dict[str, float]:
        """`measure` where each query has the offsets of its topic (Q,)."""
        hit = self.is_hit(self.top1)
        uncertainty, reranked = np.empty(len(hit)), np.empty(len(hit), dtype=bool)
        for topic, of_topic in enumerate(offsets):
            queries = topics == topic
            uncertainty[queries] = self.uncertainty(of_topic)[queries]
            reranked[queries] = self.is_hit((self.similarity - of_topic).argmax(axis=1))[queries]
        return self._summarise(uncertainty, hit, reranked)

    @staticmethod
    def _summarise(uncertainty: np.ndarray, hit: np.ndarray, reranked: np.ndarray) -> dict[str, float]:
        return measure_auroc_and_aurc(uncertainty, hit) | {"reranked_recall_at_1": float(reranked.mean())}


@dataclass(frozen=True)
class Banks:
    """Similarities (n, N) of several banks to the items of a gallery.

    Attributes:
        own: B unlabelled queries of the right modality.
        other_modality: unlabelled items of the gallery's modality.
        foreign: queries of another data set; None to leave them out.
        topic_of_bank: (B,) cluster of each query of `own`.
        topic_of_query: (Q,) cluster that each evaluated query is nearest to.
    """

    own: np.ndarray
    other_modality: np.ndarray
    foreign: np.ndarray | None
    topic_of_bank: np.ndarray
    topic_of_query: np.ndarray


def compute_offsets(
    estimator: str,
    bank: np.ndarray,
    temperature: float,
    exponent: float = 0.5,
    nearest: int = NEAREST,
    shrinkage: float = SHRINKAGE,
) -> np.ndarray:
    """Offsets (N,) as in `retrieval.bank`, from the similarities (B, N) of a bank, with other parameters.

    Args:
        estimator: `bank_softmax` or `bank_nnn`.
        bank: similarities of each bank query to each item.
        temperature: T.
        exponent: of the sum over the bank, for `bank_softmax`.
        nearest: k of `bank_nnn`; all queries of a smaller bank.
        shrinkage: alpha of `bank_nnn`.
    """
    if estimator == "bank_softmax":
        return exponent * temperature * logsumexp(bank / temperature, axis=0)
    k = min(nearest, len(bank))
    return shrinkage * np.partition(bank, len(bank) - k, axis=0)[len(bank) - k :].mean(axis=0)


def ablate_bank(gallery: Gallery, banks: Banks, seed: int) -> pd.DataFrame:
    """Measure the bank estimators of one direction with other banks and other parameters.

    Args:
        gallery: the evaluated queries and their gallery.
        banks: the banks.
        seed: of the draws.

    Returns:
        Columns `COLUMNS`. `varied` is `size`, `nearest`, `shrinkage`, `exponent` or `source`, `value` its value; all
        else is as in the estimators. `seed` numbers the draws, `n_bank` is the size of the bank, `auroc` and `aurc` are
        of the uncertainty of the most similar item, and `reranked_recall_at_1` is of the item that is best by
        normalised similarity.
    """
    rows = []
    for estimator in BANK_ESTIMATORS:
        settings = [*_sizes(estimator, gallery, banks, seed), *_parameters(estimator, gallery, banks)]
        settings += _sources(estimator, gallery, banks, seed)
        rows += [{"estimator": estimator, **row} for row in settings]
    return pd.DataFrame(rows)[COLUMNS]


def _sizes(estimator: str, gallery: Gallery, banks: Banks, seed: int) -> Iterator[dict[str, object]]:
    total = len(banks.own)
    for size in [*(size for size in SIZES if size < total), total]:
        yield from _draws("size", str(size), size, estimator, gallery, banks, seed)


def _draws(
    varied: str, value: str, size: int, estimator: str, gallery: Gallery, banks: Banks, seed: int
) -> Iterator[dict[str, object]]:
    """Rows of some draws of `size` queries; one row for the whole bank."""
    for draw in range(SEEDS if size < len(banks.own) else 1):
        drawn = np.random.default_rng(derive_seed(seed, "bank ablation", size, draw)).permutation(len(banks.own))[:size]
        offsets = compute_offsets(estimator, banks.own[drawn], gallery.temperature)
        yield {"varied": varied, "value": value, "seed": draw, "n_bank": size, **gallery.measure(offsets)}


def _parameters(estimator: str, gallery: Gallery, banks: Banks) -> Iterator[dict[str, object]]:
    grid: dict[str, tuple[float, ...]] = {"exponent": EXPONENTS}
    if estimator == "bank_nnn":
        grid = {"nearest": NEAREST_COUNTS, "shrinkage": SHRINKAGES}
    for varied, values in grid.items():
        for value in values:
            offsets = compute_offsets(estimator, banks.own, gallery.temperature, **{varied: value})  # type: ignore[arg-type]
            row = {"varied": varied, "value": f"{value:g}", "seed": 0, "n_bank": len(banks.own)}
            yield row | gallery.measure(offsets)


def _sources(estimator: str, gallery: Gallery, banks: Banks, seed: int) -> Iterator[dict[str, object]]:
    """Rows in the order of `SOURCES`."""

    def row(value: str, bank: np.ndarray) -> dict[str, object]:
        offsets = compute_offsets(estimator, bank, gallery.temperature)
        return {"varied": "source", "value": value, "seed": 0, "n_bank": len(bank), **gallery.measure(offsets)}

    yield row("bank", banks.own)
    yield from _missing_topics(estimator, gallery, banks)
    if banks.foreign is not None:
        yield row("foreign", banks.foreign)
        size = min(len(banks.foreign), len(banks.own))
        yield from _draws("source", "bank of that size", size, estimator, gallery, banks, seed)
    yield row("other modality", banks.other_modality)
    no_offsets = np.zeros(gallery.similarity.shape[1])
    yield {"varied": "source", "value": "none", "seed": 0, "n_bank": 0, **gallery.measure(no_offsets)}


def _missing_topics(estimator: str, gallery: Gallery, banks: Banks) -> Iterator[dict[str, object]]:
    """Rows with a topic removed from the bank; none for a bank that is too small for topics."""
    if len(banks.own) < MIN_BANK_WITH_TOPICS:
        return
    topics = np.unique(banks.topic_of_query)
    offsets = [
        compute_offsets(estimator, banks.own[banks.topic_of_bank != topic], gallery.temperature)
        for topic in range(topics.max() + 1)
    ]
    others = pd.DataFrame([gallery.measure(offsets[t], banks.topic_of_query != t) for t in topics]).mean()
    own = gallery.measure_own_topic_missing(offsets, banks.topic_of_query)
    n_bank = round(len(banks.own) - np.bincount(banks.topic_of_bank)[topics].mean())
    for value, measures in (("another topic missing", others.to_dict()), ("own topic missing", own)):
        yield {"varied": "source", "value": value, "seed": 0, "n_bank": n_bank, **measures}
