"""Which estimators there are, and what each needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from overtop.errors import OvertopError, suggestion
from overtop.estimators import adversarial, consistency, similarity
from overtop.terms import Protocol

if TYPE_CHECKING:  # both import torch or HDF5 behind them
    from overtop.radius import Radii
    from overtop.ranking import Ranking

Need = Literal["ranking", "votes", "radius"]
PAPER = "Gomez, Over the Top-1: Uncertainty-Aware Cross-Modal Retrieval with CLIP, 2025"


@dataclass(frozen=True)
class Estimator:
    """One way to say how far a top-1 result can be trusted.

    Attributes:
        name: the word in configuration and tables.
        label: words for a legend.
        symbol: mathematical symbol of the confidence, LaTeX.
        equation: where the definition stands in `reference`.
        needs: `ranking` always; `votes`: a posterior of several samples; `radius`: the radii.
        cost: per query, beyond the ranking.
        reference: where it comes from.
        function: `(ranking, radii, protocol) -> uncertainty (Q,)`.
        protocols: the protocols it is defined under.
    """

    name: str
    label: str
    symbol: str
    equation: str
    needs: frozenset[Need]
    cost: str
    reference: str
    function: Callable[[Ranking, Radii | None, Protocol], np.ndarray]
    protocols: tuple[Protocol, ...] = ("published", "corrected")


_RECORDS = (
    Estimator(
        name="top1_similarity",
        label="Top-1 similarity",
        symbol=r"s_{(1)}",
        equation="Eq. 2",
        needs=frozenset({"ranking"}),
        cost="none",
        reference=PAPER,
        function=similarity.top1_similarity,
    ),
    Estimator(
        name="top1_consistency",
        label="Top-1 consistency",
        symbol=r"C_1",
        equation="Eq. 6 and 10",
        needs=frozenset({"ranking", "votes"}),
        cost="S log S",
        reference=PAPER,
        function=consistency.top1_consistency,
    ),
    Estimator(
        name="topk_consistency",
        label="Top-5 consistency",
        symbol=r"C_5",
        equation="released code only",
        needs=frozenset({"ranking", "votes"}),
        cost="kS log kS",
        reference=PAPER,
        function=consistency.topk_consistency,
    ),
    Estimator(
        name="adversarial_pgd",
        label="Adversarial (PGD)",
        symbol=r"\tanh\|\delta_{\mathrm{PGD}}\|",
        equation="Eq. 11-13",
        needs=frozenset({"ranking", "radius"}),
        cost="at most 50 steps over the candidates",
        reference=PAPER,
        function=adversarial.adversarial_pgd,
    ),
    Estimator(
        name="adversarial_linear",
        label="Adversarial (linear)",
        symbol=r"\tanh\|\delta_{\mathrm{lin}}\|",
        equation="Eq. 14",
        needs=frozenset({"ranking", "radius"}),
        cost="one pair of items",
        reference=PAPER,
        function=adversarial.adversarial_linear,
    ),
    Estimator(
        name="adversarial_exact",
        label="Adversarial (exact)",
        symbol=r"\tanh\|\delta^*\|",
        equation="closed form of Eq. 11",
        needs=frozenset({"ranking", "radius"}),
        cost="one minimum over the candidates",
        reference="overtop: " + PAPER + ", Eq. 11 solved exactly",
        function=adversarial.adversarial_exact,
    ),
)
ESTIMATORS = {record.name: record for record in _RECORDS}


def find(name: str) -> Estimator:
    """The record of an estimator.

    Raises:
        OvertopError: there is none of that name; close ones are listed.
    """
    if name not in ESTIMATORS:
        raise OvertopError(f"unknown estimator {name!r}; {suggestion(name, ESTIMATORS)}")
    return ESTIMATORS[name]


def score(name: str, ranking: Ranking, radii: Radii | None, protocol: Protocol) -> np.ndarray:
    """The uncertainty of every query, float64 (Q,); higher means less trustworthy.

    Args:
        name: of the estimator.
        ranking: of one direction.
        radii: of the same direction; only the adversarial estimators need it.
        protocol: `published` repeats the released code, `corrected` is ours.

    Raises:
        OvertopError: unknown name, or the estimator needs what is not there (several samples, radii).
    """
    estimator = find(name)
    if "votes" in estimator.needs and ranking.n_samples < 2:
        raise OvertopError(f"{name} needs several samples and this posterior has one; take it off the list here")
    if "radius" in estimator.needs and radii is None:
        raise OvertopError(f"{name} needs the radii of this ranking; compute them first")
    if protocol not in estimator.protocols:
        raise OvertopError(f"{name} is not defined under protocol {protocol!r}; use {' or '.join(estimator.protocols)}")
    return estimator.function(ranking, radii, protocol).astype(np.float64)
