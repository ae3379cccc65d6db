"""What adapters minimise: L1 and the negative log-likelihood of generalised Gaussians, within and across modalities."""

import math
from collections.abc import Callable

import torch

from overtop.adapters.model import Prediction
from overtop.config.adapters import AdapterSpec
from overtop.terms import Protocol

LEAST, LARGEST = 1e-4, 1e3
"""Bounds of the residual term. `published` stops there, gradient and all; `corrected` keeps a gradient above."""


def published_nll(residual: torch.Tensor, log_alpha: torch.Tensor, log_beta: torch.Tensor) -> torch.Tensor:
    """The release's likelihood term, elementwise: |z - mean| / alpha times beta where the density has a power.

    Args:
        residual: |z - mean|.
        log_alpha: logarithm of the scale, of the same shape.
        log_beta: logarithm of the shape parameter.
    """
    scaled = (residual * (log_beta - log_alpha).exp()).clamp(LEAST, LARGEST)
    return scaled + _log_normaliser(log_alpha, log_beta)


def corrected_nll(residual: torch.Tensor, log_alpha: torch.Tensor, log_beta: torch.Tensor) -> torch.Tensor:
    """(|z - mean| / alpha)^beta - ln(beta / alpha) + ln Gamma(1 / beta): -ln density less ln 2 (Eq. 4 of the paper).

    Arguments are those of `published_nll`. A residual below 1e-4 counts as 1e-4, else an exact fit would have an
    unbounded likelihood; a power p above 1,000 counts as 1,000 (1 + ln(p / 1,000)), which joins without a kink.
    """
    exponent = log_beta.exp() * (residual.clamp(min=LEAST).log() - log_alpha)
    bound = math.log(LARGEST)
    power = exponent.clamp(max=bound).exp() * (1 + (exponent - bound).clamp(min=0))
    return power + _log_normaliser(log_alpha, log_beta)


def _log_normaliser(log_alpha: torch.Tensor, log_beta: torch.Tensor) -> torch.Tensor:
    return log_alpha - log_beta + torch.lgamma((-log_beta).exp())


NLL: dict[Protocol, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "published": published_nll,
    "corrected": corrected_nll,
}


def prediction_loss(
    prediction: Prediction, target: torch.Tensor, protocol: Protocol, nll_weight: float
) -> torch.Tensor:
    """L1 plus `nll_weight` times the likelihood term, mean over the target (n, D)."""
    residual = (prediction.mean - target).abs()
    likelihood = NLL[protocol](residual, prediction.log_alpha, prediction.log_beta)
    return residual.mean() + nll_weight * likelihood.mean()


def pair_loss(
    predictions: tuple[Prediction, Prediction],
    targets: tuple[torch.Tensor, torch.Tensor],
    protocol: Protocol,
    spec: AdapterSpec,
) -> torch.Tensor:
    """The loss of (image, text) pairs: each modality predicts itself and, with `spec.cross_weight`, the other."""

    def loss(source: int, target: int) -> torch.Tensor:
        return prediction_loss(predictions[source], targets[target], protocol, spec.nll_weight)

    return loss(0, 0) + loss(1, 1) + spec.cross_weight * (loss(0, 1) + loss(1, 0))
