"""The adapter of one modality: from an embedding to a generalised Gaussian for every dimension."""

from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from overtop.config.adapters import AdapterSpec

Modality = Literal["image", "text"]
MODALITIES: tuple[Modality, ...] = ("image", "text")

HIDDEN = 256
LEAST_INVERSE_ALPHA = 1e-3
"""Added to 1/alpha: alpha stays below 1,000 where embeddings have components of size one."""
LEAST_BETA = 0.1
"""Added to beta: below, the variance of the density is some 1e25 times alpha squared."""
LARGEST_LOG_VARIANCE = 600.0
"""Just inside float64."""


class Prediction(NamedTuple):
    """Generalised Gaussians with density beta / (2 alpha Gamma(1/beta)) exp(-(|z - mean| / alpha)^beta).

    Attributes:
        mean: (n, D).
        log_alpha: (n, D), logarithm of the scale.
        log_beta: (n, D), logarithm of the shape: 2 is Gaussian, 1 Laplacian.
    """

    mean: torch.Tensor
    log_alpha: torch.Tensor
    log_beta: torch.Tensor


class Adapter(nn.Module):
    """A trunk with a skip, and a head each for mean, 1/alpha and beta (Upadhyay et al., ICCV 2023, Section 3).

    Args:
        width: D of the embeddings.
        spec: dropout, and what makes the scales positive.
    """

    def __init__(self, width: int, spec: AdapterSpec) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU())
        self.dropout = nn.Dropout(spec.dropout)
        self.after = nn.Linear(HIDDEN, width)
        self.mean, self.inverse_alpha, self.beta = (
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)) for _ in range(3)
        )
        self.positive = functional.softplus if spec.positive == "softplus" else functional.relu

    def forward(self, items: torch.Tensor) -> Prediction:
        """The prediction for embeddings (n, D)."""
        shared = self.after(self.dropout(self.before(items))) + items
        return Prediction(
            self.mean(shared),
            -(self.positive(self.inverse_alpha(shared)) + LEAST_INVERSE_ALPHA).log(),
            (self.positive(self.beta(shared)) + LEAST_BETA).log(),
        )

    def masks(self, passes: int) -> torch.Tensor:
        """What dropout leaves of the hidden layer in each pass, (passes, 1, hidden), drawn by torch's generator."""
        return functional.dropout(torch.ones(passes, 1, HIDDEN), self.dropout.p)

    def thinned_means(self, items: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """The mean for embeddings (n, D) in the network that each mask leaves, (passes, n, D)."""
        hidden = self.before(items)
        return torch.stack([self.mean(self.after(hidden * mask) + items) for mask in masks])


def variance(log_alpha: torch.Tensor, log_beta: torch.Tensor) -> torch.Tensor:
    """Variance alpha^2 Gamma(3/beta) / Gamma(1/beta) of generalised Gaussians, float64, at most exp(600)."""
    inverse = (-log_beta.double()).exp()
    log_variance = 2 * log_alpha.double() + torch.lgamma(3 * inverse) - torch.lgamma(inverse)
    return log_variance.clamp(max=LARGEST_LOG_VARIANCE).exp()
