"""The contrastive loss of CLIP (Radford et al., 2021, Fig. 3), also where several texts of a batch match one image."""

import numpy as np
import torch
from torch.nn import functional


def contrastive_loss(
    images: torch.Tensor,
    texts: torch.Tensor,
    scale: torch.Tensor,
    label_smoothing: float = 0.0,
    groups: np.ndarray | None = None,
) -> torch.Tensor:
    """The mean cross-entropy of both directions over one batch.

    Pairs of one group match each other. The target of an image is then the uniform distribution over the texts of its
    group, and that of a text the one over the images of its group (Khosla et al., 2020, with unit embeddings of two
    modalities; https://arxiv.org/abs/2004.11362).

    Args:
        images: (B, D) unit embeddings.
        texts: (B, D) unit embeddings; row i belongs to image i.
        scale: factor of the similarities, the inverse of the temperature.
        label_smoothing: as in `torch.nn.functional.cross_entropy`.
        groups: (B,) integers; pairs with equal numbers match each other. By default each pair is a group of its own.
    """
    logits = scale * images @ texts.T
    if groups is None:
        targets = torch.arange(len(images), device=images.device)
    else:
        matches = torch.from_numpy(groups[:, None] == groups).to(logits)
        targets = matches / matches.sum(dim=1, keepdim=True)  # symmetric: both directions have the same targets
    i2t = functional.cross_entropy(logits, targets, label_smoothing=label_smoothing)
    t2i = functional.cross_entropy(logits.T, targets, label_smoothing=label_smoothing)
    return (i2t + t2i) / 2
