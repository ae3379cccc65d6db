"""The training loss of adapters: L1 and the likelihood of generalised Gaussians, within and across modalities."""

import math
from collections.abc import Callable

import torch

from overtop.adapters.model import Prediction
from overtop.config.adapters import AdapterSpec
from overtop.terms import Protocol

MIN_RESIDUAL = 1e-4
MAX_RESIDUAL_TERM = 1e3
"""Bounds of the residual term. `published` clamps to them, which also removes the gradient; `corrected` keeps a
gradient above the upper bound."""


def published_nll(residual: torch.Tensor, log_alpha: torch.Tensor, log_beta: torch.Tensor) -> torch.Tensor:
    """The likelihood term of the released code, elementwise.

    It multiplies |z - mean| / alpha by beta where the density of a generalised Gaussian has the power beta.

    Args:
        residual: |z - mean|, any shape.
        log_alpha: logarithm of the scale, same shape.
        log_beta: logarithm of the shape parameter, same shape.
    """
    residual_term = (residual * (log_beta - log_alpha).exp()).clamp(MIN_RESIDUAL, MAX_RESIDUAL_TERM)
    return residual_term + _log_normaliser(log_alpha, log_beta)


def corrected_nll(residual: torch.Tensor, log_alpha: torch.Tensor, log_beta: torch.Tensor) -> torch.Tensor:
    """The negative log density of a generalised Gaussian minus ln 2, elementwise (Eq. 4 of the paper).

    (|z - mean| / alpha)^beta - ln(beta / alpha) + ln Gamma(1 / beta). Residuals are clamped to at least 1e-4, because
    an exact fit would have an unbounded likelihood. A power p above 1,000 is replaced by 1,000 (1 + ln(p / 1,000)),
    which is continuous in value and slope.

    Args:
        residual: |z - mean|, any shape.
        log_alpha: logarithm of the scale, same shape.
        log_beta: logarithm of the shape parameter, same shape.
    """
    exponent = log_beta.exp() * (residual.clamp(min=MIN_RESIDUAL).log() - log_alpha)
    bound = math.log(MAX_RESIDUAL_TERM)
    power = exponent.clamp(max=bound).exp() * (1 + (exponent - bound).clamp(min=0))
    return power + _log_normaliser(log_alpha, log_beta)


def _log_normaliser(log_alpha: torch.Tensor, log_beta: torch.Tensor) -> torch.Tensor:
    return log_alpha - log_beta + torch.lgamma((-log_beta).exp())


NLL: dict[Protocol, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "published": published_nll,
    "corrected": corrected_nll,
}
"""The likelihood term of each protocol."""


def prediction_loss(
    prediction: Prediction, target: torch.Tensor, protocol: Protocol, nll_weight: float
) -> torch.Tensor:
    """L1 plus `nll_weight` times the likelihood term, as a mean over the target (n, D)."""
    residual = (prediction.mean - target).abs()
    likelihood = NLL[protocol](residual, prediction.log_alpha, prediction.log_beta)
    return residual.mean() + nll_weight * likelihood.mean()


def pair_loss(
    predictions: tuple[Prediction, Prediction],
    targets: tuple[torch.Tensor, torch.Tensor],
    protocol: Protocol,
    spec: AdapterSpec,
) -> torch.Tensor:
    """The loss of n (image, text) pairs.

    Each modality predicts its own embedding and, with weight `spec.cross_weight`, the embedding of the other.

    Args:
        predictions: predictions from the images and from the texts.
        targets: embeddings (n, D) of the images and of the texts.
        protocol: likelihood term to use.
        spec: weights of the terms.
    """

    def loss(source: int, target: int) -> torch.Tensor:
        return prediction_loss(predictions[source], targets[target], protocol, spec.nll_weight)

    return loss(0, 0) + loss(1, 1) + spec.cross_weight * (loss(0, 1) + loss(1, 0))
