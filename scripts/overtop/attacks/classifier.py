"""The classifier that an attack sees: logits of images, as a function of their pixels."""

from typing import Any

import numpy as np
import torch

from overtop.attacks.gallery import Gallery
from overtop.encoders import shortcuts
from overtop.encoders.loading import Encoder
from overtop.encoders.pixels import split_preprocessing


class Classifier:
    """An image answers with the group of gallery items that its most similar item belongs to.

    Everything is computed in float32 without autocast, under which attacks are weak, and is differentiable in the
    pixels and in the weights of the image tower. Freezing the weights would not make attacks faster: the gradients of
    weights are not computed anyway, and torch multiplies batches by frozen weights with a slower kernel (ViT-B/32 on a
    CPU: a third more time).

    Args:
        encoder: a loaded encoder.
        texts: the gallery, or (M, D) embeddings of its items.
        groups: (M,) int, the number of each item's group, as of `Gallery`; only with embeddings.
        resize: shorter side of an image before the centre crop; by default as in the encoder's preprocessing.

    Attributes:
        encoder: as given.
        gallery: the items and their groups.
        to_pixels: the transform from a PIL image to pixels (3, H, W) in [0, 1], at the resolution that the model sees.
    """

    def __init__(
        self,
        encoder: Encoder,
        texts: Gallery | np.ndarray | torch.Tensor,
        groups: np.ndarray | None = None,
        resize: int | None = None,
    ) -> None:
        self.encoder = encoder
        self.to_pixels, self._normalise = split_preprocessing(encoder, resize)
        if not isinstance(texts, Gallery):
            texts = Gallery(texts, groups, float(encoder.provenance["logit_scale"]), encoder.device)
        self.gallery = texts

    def describe(self) -> dict[str, Any]:
        """Return what of the classifier belongs to the specification of an attack: precision and image size."""
        size = self.encoder.model.visual.preprocess_cfg["size"]
        return {"precision": "fp32", "image_size": size if isinstance(size, int) else list(size)}

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the normalised images (B, 3, H, W) that the image tower takes, of pixels in [0, 1]."""
        return self._normalise(pixels)

    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the un-normalised embeddings (B, D) of pixels (B, 3, H, W) in [0, 1]."""
        with torch.autocast(pixels.device.type, enabled=False):
            return shortcuts.encode_image(self.encoder.model, self.normalise(pixels.float())).float()

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, G) of pixels (B, 3, H, W) in [0, 1]: scale x cosine, the largest of each group."""
        return self.gallery.logits(self.embed(pixels))
