"""The classifier that an attack sees: logits of images, as a function of their pixels."""

import numpy as np
import torch
from torch.nn import functional

from overtop.encoders import shortcuts
from overtop.encoders.loading import Encoder
from overtop.encoders.pixels import split_preprocessing
from overtop.storage.split import Split


class Classifier:
    """An image answers with the group of gallery items that its most similar item belongs to.

    Everything is computed in float32 without autocast, under which attacks are weak, and differentiable in the pixels
    and in the weights of the image tower.

    Args:
        encoder: a loaded encoder.
        texts: (M, D) embeddings of the gallery, normalised or not: class prompts or captions.
        groups: (M,) int, the number of each item's group, from 0 to G - 1 without gaps; by default each item is a group
            of its own.
        resize: shorter side of an image before the centre crop; by default as in the encoder's preprocessing.

    Attributes:
        encoder: as given.
        to_pixels: the transform from a PIL image to pixels (3, H, W) in [0, 1], at the resolution the model sees.
        n_groups: G.
        scale: the model's logit scale, the inverse of its temperature.
    """

    def __init__(
        self,
        encoder: Encoder,
        texts: np.ndarray | torch.Tensor,
        groups: np.ndarray | None = None,
        resize: int | None = None,
    ) -> None:
        self.encoder = encoder
        self.to_pixels, self._normalise = split_preprocessing(encoder, resize)
        self.scale = float(encoder.provenance["logit_scale"])
        self._texts = functional.normalize(torch.as_tensor(texts, dtype=torch.float32, device=encoder.device), dim=1)
        self._groups = None if groups is None else torch.as_tensor(groups, dtype=torch.long, device=encoder.device)
        self.n_groups = len(self._texts) if groups is None else int(groups.max()) + 1

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the normalised images (B, 3, H, W) that the image tower takes, of pixels in [0, 1]."""
        return self._normalise(pixels)

    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the un-normalised embeddings (B, D) of pixels (B, 3, H, W) in [0, 1]."""
        with torch.autocast(pixels.device.type, enabled=False):
            return shortcuts.encode_image(self.encoder.model, self.normalise(pixels.float())).float()

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, G) of pixels (B, 3, H, W) in [0, 1]; see `logits_of_embeddings`."""
        return self.logits_of_embeddings(self.embed(pixels))

    def logits_of_embeddings(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return scale x cosine similarity, the largest over the items of each group: (B, D) -> (B, G)."""
        with torch.autocast(embeddings.device.type, enabled=False):
            logits = self.scale * functional.normalize(embeddings.float(), dim=1) @ self._texts.T
            if self._groups is None:
                return logits
            groups = self._groups.expand(len(logits), -1)
            return logits.new_full((len(logits), self.n_groups), -torch.inf).scatter_reduce(1, groups, logits, "amax")


def positives_of_images(split: Split, images: np.ndarray) -> np.ndarray:
    """Return which groups are right answers of images: (B, G) bool.

    The groups of a data set of classes are its classes, an image may have several. Those of a data set of captions are
    its images: all captions of an image are one answer, and only its own captions are right.

    Args:
        split: images with captions or classes.
        images: (B,) indices of images.
    """
    if split.labels is None:
        return np.arange(len(split.image_ids)) == images[:, None]
    return np.stack([np.isin(images, members) for members in split.labels], axis=1)
