"""Which estimators there are, and what each needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from overtop.errors import OvertopError, suggestion
from overtop.estimators import adversarial, consistency, dirichlet, probvlm, similarity
from overtop.estimators.evidence import Evidence
from overtop.terms import Protocol

Need = Literal["ranking", "softmax", "votes", "radius", "spread"]
PAPER = "Gomez, Over the Top-1: Uncertainty-Aware Cross-Modal Retrieval with CLIP, 2025"
UCAT = "Calibrating Uncertainty for Zero-Shot Adversarial CLIP, arXiv 2512.12997"
PROBVLM = "Upadhyay et al., ProbVLM: Probabilistic Adapter for Frozen Vision-Language Models, ICCV 2023"
HENDRYCKS = "Hendrycks and Gimpel, A Baseline for Detecting Misclassified Examples, ICLR 2017"
LIU = "Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020"
SHANNON = "Shannon, A Mathematical Theory of Communication, 1948"


@dataclass(frozen=True)
class Estimator:
    """One way to say how far a top-1 result can be trusted.

    Attributes:
        name: the word in configuration and tables.
        symbol: mathematical symbol of the confidence, LaTeX.
        equation: where the definition stands in `reference`.
        needs: `ranking` always; `softmax`: its sums at the temperatures; `votes`: a posterior of several samples;
            `radius`: the radii; `spread`: a posterior with an adapter.
        cost: per query, beyond the ranking.
        reference: where it comes from.
        function: `(evidence, protocol) -> uncertainty (Q,)`.
        protocols: the protocols it is defined under.
    """

    name: str
    symbol: str
    equation: str
    needs: frozenset[Need]
    cost: str
    reference: str
    function: Callable[[Evidence, Protocol], np.ndarray]
    protocols: tuple[Protocol, ...] = ("published", "corrected")


_RECORDS = (
    Estimator(
        name="top1_similarity",
        symbol=r"s_{(1)}",
        equation="Eq. 2",
        needs=frozenset({"ranking"}),
        cost="none",
        reference=PAPER,
        function=similarity.top1_similarity,
    ),
    Estimator(
        name="top1_consistency",
        symbol=r"C_1",
        equation="Eq. 6 and 10",
        needs=frozenset({"ranking", "votes"}),
        cost="S log S",
        reference=PAPER,
        function=consistency.top1_consistency,
    ),
    Estimator(
        name="topk_consistency",
        symbol=r"C_5",
        equation="released code only",
        needs=frozenset({"ranking", "votes"}),
        cost="kS log kS",
        reference=PAPER,
        function=consistency.topk_consistency,
    ),
    Estimator(
        name="adversarial_pgd",
        symbol=r"\tanh\|\delta_{\mathrm{PGD}}\|",
        equation="Eq. 11-13",
        needs=frozenset({"ranking", "radius"}),
        cost="at most 50 steps over the candidates",
        reference=PAPER,
        function=adversarial.adversarial_pgd,
    ),
    Estimator(
        name="adversarial_linear",
        symbol=r"\tanh\|\delta_{\mathrm{lin}}\|",
        equation="Eq. 14",
        needs=frozenset({"ranking", "radius"}),
        cost="one pair of items",
        reference=PAPER,
        function=adversarial.adversarial_linear,
    ),
    Estimator(
        name="adversarial_exact",
        symbol=r"\tanh\|\delta^*\|",
        equation="closed form of Eq. 11",
        needs=frozenset({"ranking", "radius"}),
        cost="one minimum over the candidates",
        reference="overtop: " + PAPER + ", Eq. 11 solved exactly",
        function=adversarial.adversarial_exact,
    ),
    Estimator(
        name="margin",
        symbol=r"s_{(1)}-s_{(2)}",
        equation="difference of the best two",
        needs=frozenset({"ranking"}),
        cost="none",
        reference=PAPER + ", numerator of Eq. 14",
        function=similarity.margin,
    ),
    Estimator(
        name="entropy",
        symbol=r"1-H(p)/\ln N",
        equation="entropy of softmax(s/T)",
        needs=frozenset({"ranking", "softmax"}),
        cost="none; the ranking sums N exponentials",
        reference=SHANNON,
        function=similarity.entropy,
    ),
    Estimator(
        name="max_softmax",
        symbol=r"\max_j p_j",
        equation="largest probability of softmax(s/T)",
        needs=frozenset({"ranking", "softmax"}),
        cost="none; the ranking sums N exponentials",
        reference=HENDRYCKS,
        function=similarity.max_softmax,
    ),
    Estimator(
        name="energy",
        symbol=r"T\log\sum_j e^{s_j/T}",
        equation="energy score at T",
        needs=frozenset({"ranking", "softmax"}),
        cost="none; the ranking sums N exponentials",
        reference=LIU,
        function=similarity.energy,
    ),
    Estimator(
        name="dirichlet_entropy",
        symbol=r"-\mathrm{AU}",
        equation="aleatoric uncertainty",
        needs=frozenset({"ranking", "softmax"}),
        cost="none; the ranking sums N exponentials",
        reference=UCAT,
        function=dirichlet.dirichlet_entropy,
    ),
    Estimator(
        name="dirichlet_vacuity",
        symbol=r"-\mathrm{EU}",
        equation="epistemic uncertainty",
        needs=frozenset({"ranking", "softmax"}),
        cost="none; the ranking sums N exponentials",
        reference=UCAT,
        function=dirichlet.dirichlet_vacuity,
    ),
    Estimator(
        name="probvlm",
        symbol=r"-\mathrm{Var}(z)",
        equation="Eq. 9 and 10",
        needs=frozenset({"ranking", "spread"}),
        cost="none; the adapter makes 15 passes",
        reference=PROBVLM,
        function=probvlm.probvlm,
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


def lacking(estimator: Estimator, evidence: Evidence, protocol: Protocol) -> str | None:
    """What an estimator needs that is not there, and the mend; None if it can be computed."""
    if protocol not in estimator.protocols:
        return f"is not defined under protocol {protocol!r}; use {' or '.join(estimator.protocols)}"
    if "votes" in estimator.needs and evidence.ranking.n_samples < 2:
        return "needs several samples and this posterior has one; take it off the list here"
    if "softmax" in estimator.needs and not evidence.ranking.temperatures:
        return "needs sums over the whole gallery, which a search does not give; set ranking.search to stream"
    if "spread" in estimator.needs and evidence.spread is None:
        return "needs a posterior with an adapter; declare one in config.yaml"
    if "radius" in estimator.needs:
        if evidence.radii is None:
            return "needs the radii of this ranking; compute them first"
        if protocol == "published" and evidence.radii.published is None:
            return "averages embeddings under 'published', and the members differ in dimension; use 'corrected'"
    return None


def score(name: str, evidence: Evidence, protocol: Protocol) -> np.ndarray:
    """The uncertainty of every query, float64 (Q,); higher means less trustworthy.

    Args:
        name: of the estimator.
        evidence: of one direction.
        protocol: `published` repeats the released code, `corrected` is ours.

    Raises:
        OvertopError: unknown name, or the estimator needs what is not there (several samples, radii, an adapter).
    """
    estimator = find(name)
    missing = lacking(estimator, evidence, protocol)
    if missing:
        raise OvertopError(f"{name} {missing}")
    return estimator.function(evidence, protocol).astype(np.float64)
