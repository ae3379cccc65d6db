"""The contrastive loss of CLIP (Radford et al., 2021, Fig. 3)."""

import torch
from torch.nn import functional


def contrastive_loss(
    images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, label_smoothing: float = 0.0
) -> torch.Tensor:
    """The mean cross-entropy of both directions over one batch.

    Args:
        images: (B, D) unit embeddings.
        texts: (B, D) unit embeddings; row i belongs to image i.
        scale: factor of the similarities, the inverse of the temperature.
        label_smoothing: as in `torch.nn.functional.cross_entropy`.
    """
    logits = scale * images @ texts.T
    labels = torch.arange(len(images), device=images.device)
    i2t = functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    t2i = functional.cross_entropy(logits.T, labels, label_smoothing=label_smoothing)
    return (i2t + t2i) / 2
