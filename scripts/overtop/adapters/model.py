"""The adapter of one modality: a network that predicts a generalised Gaussian for every dimension of an embedding."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from overtop.config.adapters import AdapterSpec

HIDDEN_WIDTH = 256
MIN_INVERSE_ALPHA = 1e-3
"""Added to 1/alpha, so that alpha stays below 1,000 for embeddings whose components have size one."""
MIN_BETA = 0.1
"""Added to beta; below it the variance of the density exceeds 1e25 alpha^2."""
MAX_LOG_VARIANCE = 600.0
"""Upper bound of the log variance; its exponential still fits into float64."""


class Prediction(NamedTuple):
    """Generalised Gaussians with density beta / (2 alpha Gamma(1/beta)) exp(-(|z - mean| / alpha)^beta).

    Attributes:
        mean: (n, D).
        log_alpha: (n, D), logarithm of the scale.
        log_beta: (n, D), logarithm of the shape parameter: 2 is Gaussian, 1 Laplacian.
    """

    mean: torch.Tensor
    log_alpha: torch.Tensor
    log_beta: torch.Tensor


class Adapter(nn.Module):
    """A trunk with a skip connection, and one head each for mean, 1/alpha and beta (Section 3 of the ProbVLM paper).

    Args:
        width: D of the embeddings.
        spec: dropout rate, and the function that makes the scales positive.
    """

    def __init__(self, width: int, spec: AdapterSpec) -> None:
        super().__init__()
        self.before = nn.Sequential(
            nn.Linear(width, HIDDEN_WIDTH), nn.ReLU(), nn.Linear(HIDDEN_WIDTH, HIDDEN_WIDTH), nn.ReLU()
        )
        self.dropout = nn.Dropout(spec.dropout)
        self.after = nn.Linear(HIDDEN_WIDTH, width)
        self.mean, self.inverse_alpha, self.beta = (
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)) for _ in range(3)
        )
        self.positive = functional.softplus if spec.positive == "softplus" else functional.relu

    def forward(self, items: torch.Tensor) -> Prediction:
        """The prediction for embeddings (n, D)."""
        shared = self.after(self.dropout(self.before(items))) + items
        return Prediction(
            self.mean(shared),
            -(self.positive(self.inverse_alpha(shared)) + MIN_INVERSE_ALPHA).log(),
            (self.positive(self.beta(shared)) + MIN_BETA).log(),
        )

    def draw_masks(self, passes: int) -> torch.Tensor:
        """One dropout mask of the hidden layer per pass, (passes, 1, hidden), from torch's global generator."""
        return functional.dropout(torch.ones(passes, 1, HIDDEN_WIDTH), self.dropout.p)

    def masked_means(self, items: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """The predicted means for embeddings (n, D) under each dropout mask, (passes, n, D)."""
        hidden = self.before(items)
        return torch.stack([self.mean(self.after(hidden * mask) + items) for mask in masks])


def generalised_gaussian_variance(log_alpha: torch.Tensor, log_beta: torch.Tensor) -> torch.Tensor:
    """The variance alpha^2 Gamma(3/beta) / Gamma(1/beta) of generalised Gaussians, float64, at most exp(600)."""
    inverse = (-log_beta.double()).exp()
    log_variance = 2 * log_alpha.double() + torch.lgamma(3 * inverse) - torch.lgamma(inverse)
    return log_variance.clamp(max=MAX_LOG_VARIANCE).exp()
