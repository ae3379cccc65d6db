"""One batch of adversarial training: attack the images, then compute the terms of the objective."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from overtop.attacks.pgd import perturb
from overtop.config.attacks import step_length
from overtop.config.finetuning import FinetuneSpec
from overtop.encoders import shortcuts
from overtop.encoders.loading import Encoder
from overtop.encoders.patch_embeddings import encode_image_and_patches
from overtop.encoders.pixels import Normalise
from overtop.training.objective_inputs import ObjectiveInputs
from overtop.training.objectives import Objective

PIXEL_LEVELS = 255
"""Epsilon and step of the configuration are in units of 1 / `PIXEL_LEVELS` of the range of a pixel."""


class ImageTower(nn.Module):
    """The image tower of a model on pixels in [0, 1].

    Args:
        model: an open_clip model.
        normalise: the normalisation of its preprocessing.
        is_compiled: run it as a compiled graph.
    """

    def __init__(self, model: Any, normalise: Normalise, is_compiled: bool = False) -> None:
        super().__init__()
        self.model, self.normalise = model, normalise
        self._compiled = torch.compile(model.encode_image) if is_compiled else None

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Un-normalised embeddings (B, D) of pixels (B, 3, H, W), both float32."""
        images = self.normalise(pixels)
        if self._compiled is not None:
            return self._compiled(images).float()
        return shortcuts.encode_image(self.model, images).float()

    def with_patches(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The embeddings, and those of the patches (B, D, h, w), float32."""
        images, patches = encode_image_and_patches(self.model.visual, self.normalise(pixels))
        return images.float(), patches.float()


class AttackedObjective(nn.Module):
    """The objective of an encoder's image tower on clean and on attacked images.

    The attack runs in float32, whatever the precision of the rest: under autocast attacks are weak.

    Args:
        encoder: an encoder in eval mode; its image tower is trained, a frozen copy of it is the objective's reference.
        normalise: the normalisation of its preprocessing.
        objective: what is minimised, and what the attack maximises.
        texts: (C, D) unit embeddings of the classes.
        spec: gives attack, batch size, precision, and whether graphs are compiled.
    """

    def __init__(
        self, encoder: Encoder, normalise: Normalise, objective: Objective, texts: torch.Tensor, spec: FinetuneSpec
    ) -> None:
        super().__init__()
        is_compiled = spec.compile and encoder.device.type == "cuda"
        self.tower = ImageTower(encoder.model, normalise, is_compiled)
        self.reference: ImageTower | None = None
        if objective.needs - {"clean"}:
            self.reference = ImageTower(copy.deepcopy(encoder.model).requires_grad_(False), normalise, is_compiled)
        self._objective, self._texts, self._spec = objective, texts, spec
        self._scale = float(encoder.model.logit_scale.detach().exp())
        self._device_type = encoder.device.type

    def prepare(self, clean: torch.Tensor, labels: torch.Tensor) -> ObjectiveInputs:
        """The inputs of the objective that the attack does not change.

        Args:
            clean: (B, 3, H, W) pixels.
            labels: (B,) classes.
        """
        size, batch_size = (clean.shape[2], clean.shape[3]), self._spec.batch_size
        inputs = ObjectiveInputs(labels, self._texts, self._scale, image_size=size, batch_size=batch_size)
        if self.reference is None or "reference_clean" not in self._objective.needs:
            return inputs
        with torch.no_grad(), self._autocast():
            if "maps" not in self._objective.needs:
                return replace(inputs, reference_clean=self.reference(clean))
            images, patches = self.reference.with_patches(clean)
            return replace(inputs, reference_clean=images, reference_clean_patches=patches)

    def attack(self, clean: torch.Tensor, inputs: ObjectiveInputs, seed: int) -> torch.Tensor:
        """The images under the attack of the training.

        Args:
            clean: (B, 3, H, W) pixels.
            inputs: what `prepare` returned for them.
            seed: of the random start.
        """
        attack = self._spec.attack
        with _frozen(list(self.tower.parameters())), torch.autocast(self._device_type, enabled=False):
            return perturb(
                clean,
                lambda pixels: self._objective.attack_loss(self.tower(pixels), inputs),
                epsilon=attack.epsilon / PIXEL_LEVELS,
                steps=attack.steps,
                step=step_length(attack.step, attack.epsilon) / PIXEL_LEVELS,
                generator=torch.Generator(clean.device).manual_seed(seed),
            )

    def forward(self, clean: torch.Tensor, attacked: torch.Tensor, inputs: ObjectiveInputs) -> dict[str, torch.Tensor]:
        """The weighted terms of the objective, scalars; their sum is the loss."""
        needs = self._objective.needs
        with self._autocast():
            if "maps" in needs:
                images, patches = self.tower.with_patches(attacked)
                inputs = replace(inputs, adversarial=images, adversarial_patches=patches)
                images, patches = self.tower.with_patches(clean)
                inputs = replace(inputs, clean=images, clean_patches=patches)
            else:
                inputs = replace(inputs, adversarial=self.tower(attacked))
                if "clean" in needs:
                    inputs = replace(inputs, clean=self.tower(clean))
            if "reference_adversarial" in needs and self.reference is not None:
                with torch.no_grad():
                    inputs = replace(inputs, reference_adversarial=self.reference(attacked))
            return self._objective.terms(inputs)

    @torch.no_grad()
    def count_correct(self, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The number of images whose most similar class is theirs, a scalar; NaN if an embedding is not finite."""
        similarities = functional.normalize(self.tower(pixels), dim=-1) @ self._texts.T
        correct = (similarities.argmax(dim=1) == labels).sum()
        return torch.where(similarities.isfinite().all(), correct, torch.nan)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device_type, torch.bfloat16, enabled=self._spec.precision == "bf16")


@contextmanager
def _frozen(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Inside this context no gradients of the trained parameters are computed, nor what they need kept in memory."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
