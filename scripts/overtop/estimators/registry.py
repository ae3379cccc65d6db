"""The estimators: name, requirements, definition, source and function of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from overtop.errors import OvertopError, did_you_mean
from overtop.estimators import adversarial, bank, consistency, dirichlet, probvlm, qpp, similarity
from overtop.estimators.inputs import EstimatorInputs
from overtop.reference.citations import (
    BOGOLIN,
    CHOWDHURY,
    GOMEZ,
    HENDRYCKS,
    LIU,
    SHANNON,
    SHTOK,
    TAO,
    UCAT,
    UPADHYAY,
    ZHOU,
    Citation,
)
from overtop.terms import PROTOCOLS, PUBLISHED_ONLY, Protocol

Need = Literal["samples", "softmax", "radius", "adapter", "bank"]
NEEDS: dict[Need, str] = {
    "samples": "several samples",
    "softmax": "softmax sums",
    "radius": "radius",
    "adapter": "trained adapter",
    "bank": "bank",
}
"""Requirements beyond a ranking, as the table of estimators prints them."""


@dataclass(frozen=True)
class Estimator:
    """A function that assigns an uncertainty to every query.

    Attributes:
        name: its name in configuration, columns and file names.
        confidence: definition of the confidence, Markdown; the uncertainty is one minus it, or its negative if it is
            not bounded.
        citation: publication that defines it.
        location: where in that publication.
        function: `(inputs, protocol) -> uncertainty (Q,)`.
        needs: requirements beyond a ranking. `samples`: a posterior of at least two samples; `softmax`: softmax sums
            over the gallery; `radius`: the radii; `adapter`: the variance that a trained adapter predicts;
            `bank`: the ranking was computed with the estimator's normalisation.
        protocols: protocols under which it is defined.
    """

    name: str
    confidence: str
    citation: Citation
    location: str
    function: Callable[[EstimatorInputs, Protocol], np.ndarray]
    needs: frozenset[Need] = frozenset()
    protocols: tuple[Protocol, ...] = PROTOCOLS


def _predictors(
    name: str, confidence: str, citation: Citation, location: str, predictor: Callable[[np.ndarray], np.ndarray]
) -> tuple[Estimator, ...]:
    """A query performance predictor at each k of `PREDICTOR_ITEMS`."""
    return tuple(
        Estimator(
            f"{name}_{k}", f"{confidence}, k = {k}", citation, location, qpp.at(k, predictor), protocols=("corrected",)
        )
        for k in qpp.PREDICTOR_ITEMS
    )


_ESTIMATORS = (
    Estimator(
        name="top1_similarity",
        confidence="mean similarity s₁ of the top-1",
        citation=GOMEZ,
        location="Eq. 2",
        function=similarity.top1_similarity,
    ),
    Estimator(
        name="top1_consistency",
        confidence="share of the samples that agree on the top-1",
        citation=GOMEZ,
        location="Eq. 6 and 10",
        function=consistency.top1_consistency,
        needs=frozenset({"samples"}),
    ),
    Estimator(
        name="topk_consistency",
        confidence="mean Jaccard index of each sample's top 5 with a reference top 5",
        citation=GOMEZ,
        location="released code",
        function=consistency.topk_consistency,
        needs=frozenset({"samples"}),
    ),
    Estimator(
        name="adversarial_pgd",
        confidence="tanh of the length of the normalised-gradient walk that changes the top-1",
        citation=GOMEZ,
        location="Eq. 11-13",
        function=adversarial.adversarial_pgd,
        needs=frozenset({"radius"}),
        protocols=("published",),
    ),
    Estimator(
        name="adversarial_linear",
        confidence="tanh of the linear estimate of that length from the best two items",
        citation=GOMEZ,
        location="Eq. 14",
        function=adversarial.adversarial_linear,
        needs=frozenset({"radius"}),
        protocols=("published",),
    ),
    Estimator(
        name="adversarial_exact",
        confidence="tanh of the shortest distance that the query must move to change the top-1",
        citation=GOMEZ,
        location="Eq. 11, solved exactly by overtop",
        function=adversarial.adversarial_exact,
        needs=frozenset({"radius"}),
    ),
    Estimator(
        name="margin",
        confidence="s₁ - s₂, the difference between the best two similarities",
        citation=GOMEZ,
        location="numerator of Eq. 14",
        function=similarity.margin,
    ),
    Estimator(
        name="margin_topk",
        confidence="s₁ minus the mean similarity of the best four rivals",
        citation=GOMEZ,
        location="numerator of Eq. 14, averaged over four rivals by overtop",
        function=qpp.margin_topk,
        protocols=("corrected",),
    ),
    Estimator(
        name="entropy",
        confidence="1 - H(p) / ln N with p = softmax(s / T) over the gallery of N items",
        citation=SHANNON,
        location="entropy",
        function=similarity.entropy,
        needs=frozenset({"softmax"}),
    ),
    Estimator(
        name="max_softmax",
        confidence="largest value of softmax(s / T) over the gallery",
        citation=HENDRYCKS,
        location="maximum softmax probability",
        function=similarity.max_softmax,
        needs=frozenset({"softmax"}),
    ),
    Estimator(
        name="bank_softmax",
        confidence="probability of the top-1 by softmax(s / T - ½ ln Σ exp(s_b / T)), summed over the bank's queries b",
        citation=BOGOLIN,
        location="with the exponent ½, read as a confidence by overtop",
        function=bank.bank_softmax,
        needs=frozenset({"bank"}),
        protocols=("corrected",),
    ),
    Estimator(
        name="bank_nnn",
        confidence="probability of the top-1 by softmax((s - ¾ m) / T), m the mean of an item's 16 best bank queries",
        citation=CHOWDHURY,
        location="read as a confidence by overtop",
        function=bank.bank_nnn,
        needs=frozenset({"bank"}),
        protocols=("corrected",),
    ),
    Estimator(
        name="energy",
        confidence="T ln Σ exp(s / T) over the gallery",
        citation=LIU,
        location="energy score",
        function=similarity.energy,
        needs=frozenset({"softmax"}),
    ),
    Estimator(
        name="dirichlet_entropy",
        confidence="negative expected entropy (aleatoric) of the Dirichlet distribution that the similarities imply",
        citation=UCAT,
        location="aleatoric uncertainty",
        function=dirichlet.dirichlet_entropy,
        needs=frozenset({"softmax"}),
    ),
    Estimator(
        name="dirichlet_vacuity",
        confidence="negative vacuity (epistemic) of that Dirichlet distribution",
        citation=UCAT,
        location="epistemic uncertainty",
        function=dirichlet.dirichlet_vacuity,
        needs=frozenset({"softmax"}),
    ),
    *_predictors("nqc", "standard deviation of s₁, ..., s_k", SHTOK, "NQC", qpp.nqc),
    *_predictors("wig", "mean of s₁, ..., s_k", ZHOU, "WIG", qpp.wig),
    *_predictors("smv", "mean of s ln(s / mean s), in absolute value, over s₁, ..., s_k", TAO, "SMV", qpp.smv),
    *_predictors(
        "lsmv", "standard deviation of ln s over s₁, ..., s_k", TAO, "SMV without magnitude, by overtop", qpp.lsmv
    ),
    *_predictors("gap", "s₁ - s_k", GOMEZ, "numerator of Eq. 14 with the k-th item, by overtop", qpp.gap),
    Estimator(
        name="probvlm",
        confidence="negative variance of the query's embedding that a trained adapter predicts",
        citation=UPADHYAY,
        location="Eq. 9 and 10",
        function=probvlm.probvlm,
        needs=frozenset({"adapter"}),
    ),
)
REGISTRY = {estimator.name: estimator for estimator in _ESTIMATORS}
"""The estimators by name, in the order of `terms.ESTIMATORS`."""


def get_estimator(name: str) -> Estimator:
    """The estimator of that name.

    Raises:
        OvertopError: there is none; the message suggests the closest name, or lists all of them.
    """
    if name not in REGISTRY:
        raise OvertopError(f"unknown estimator {name!r}; {did_you_mean(name, REGISTRY)}")
    return REGISTRY[name]


def missing_requirement(estimator: Estimator, inputs: EstimatorInputs, protocol: Protocol) -> str | None:
    """Why an estimator cannot be computed from these inputs and the fix, as the end of a message; None if it can."""
    if protocol not in estimator.protocols:
        instead = "; use adversarial_exact, which it approximates" if estimator.name in PUBLISHED_ONLY else ""
        return f"exists only under protocol {estimator.protocols[0]!r}{instead}"
    if "samples" in estimator.needs and inputs.ranking.n_samples < 2:
        return "needs several samples, but this posterior has one; remove it from the estimators of this posterior"
    if "softmax" in estimator.needs and not inputs.ranking.temperatures:
        return "needs softmax sums over the gallery; rank again with temperatures"
    if "bank" in estimator.needs and estimator.name not in inputs.ranking.normalised:
        return "needs a bank: declare one of another split than this one"
    if "adapter" in estimator.needs and inputs.variance is None:
        return "needs a posterior with an adapter; declare one in config.yaml"
    if "radius" in estimator.needs:
        if inputs.radii is None:
            return "needs the radii of this ranking; compute them first"
        if protocol == "published" and inputs.radii.published is None:
            return "averages embeddings under 'published', and the members differ in dimension; use 'corrected'"
    return None


def estimators_table() -> str:
    """The estimators as a Markdown table, one row each, followed by a list of the publications they cite.

    Columns: estimator, needs (beyond a ranking), protocols, confidence, source.
    """
    lines = ["| estimator | needs | protocols | confidence | source |", "|---|---|---|---|---|"]
    for estimator in REGISTRY.values():
        needs = ", ".join(text for need, text in NEEDS.items() if need in estimator.needs) or "-"
        source = f"{estimator.citation.short}, {estimator.location}"
        protocols = ", ".join(estimator.protocols) if estimator.protocols != PROTOCOLS else "both"
        lines.append(f"| `{estimator.name}` | {needs} | {protocols} | {estimator.confidence} | {source} |")
    citations = dict.fromkeys(estimator.citation for estimator in REGISTRY.values())
    return "\n".join([*lines, "", *(f"- {citation.short}: {citation.full}" for citation in citations)])
