"""What an objective is computed from: embeddings of one batch by the trained and by the frozen image tower."""

from dataclasses import dataclass
from typing import Literal

import torch

Need = Literal["clean", "reference_clean", "reference_adversarial", "maps"]
"""Passes that an objective needs besides that of the trained tower over the attacked images.

`clean`: the trained tower over the clean images; `reference_clean`, `reference_adversarial`: the frozen tower over the
clean, and over the attacked images; `maps`: each of these passes also returns embeddings of the patches.
"""


@dataclass(frozen=True)
class ObjectiveInputs:
    """Embeddings of B images in D dimensions, un-normalised, and the prompts of C classes.

    Embeddings of the frozen tower must not require gradients (`torch.no_grad`; tensors of `torch.inference_mode` cannot
    be used in a backward pass). An input that the objective does not need may be None.

    Attributes:
        labels: (B,) class of each image.
        texts: (C, D) unit embeddings of the prompts, frozen.
        scale: logit scale of the model, the inverse of its temperature.
        adversarial: (B, D) attacked images, trained tower.
        clean: (B, D) clean images, trained tower.
        reference_clean: (B, D) clean images, frozen tower.
        reference_adversarial: (B, D) attacked images, frozen tower.
        adversarial_patches: (B, D, h, w) patches of the attacked images, trained tower.
        clean_patches: (B, D, h, w) patches of the clean images, trained tower.
        reference_clean_patches: (B, D, h, w) patches of the clean images, frozen tower.
        image_size: height and width of the images in pixels.
        batch_size: images of the whole optimisation step if these are only a part of them; None if these are all.
    """

    labels: torch.Tensor
    texts: torch.Tensor
    scale: float
    adversarial: torch.Tensor | None = None
    clean: torch.Tensor | None = None
    reference_clean: torch.Tensor | None = None
    reference_adversarial: torch.Tensor | None = None
    adversarial_patches: torch.Tensor | None = None
    clean_patches: torch.Tensor | None = None
    reference_clean_patches: torch.Tensor | None = None
    image_size: tuple[int, int] | None = None
    batch_size: int | None = None

    def embeddings(self, name: str) -> torch.Tensor:
        """The embeddings with that attribute's name.

        Raises:
            ValueError: they are None.
        """
        embeddings: torch.Tensor | None = getattr(self, name)
        if embeddings is None:
            raise ValueError(f"this objective needs the embeddings {name!r}")
        return embeddings
