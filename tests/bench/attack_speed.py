"""Speed of attacks, next to a plain loop of the published kind, and of an evaluation that stops at wrong answers.

The plain loop attacks all images for all steps with the model as it was loaded. In the evaluation half of the images
are wrong from the start and the others resist, which is the hardest case for stopping early: of the other images none
leaves the batch. The weights are random, since the time does not depend on their values.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.nn import functional

from bench.sizes import BenchmarkSizes
from bench.targets import PartResult, TargetCheck, check_target
from bench.timing import time_interleaved
from overtop.attacks.batch import attack_batch
from overtop.attacks.classifier import Classifier
from overtop.attacks.losses import cross_entropy, is_misclassified
from overtop.attacks.pgd import perturb_from, random_point
from overtop.config.attacks import GradientAttack
from overtop.config.encoders import EncoderSpec
from overtop.encoders.loading import assemble_encoder, build_model
from overtop.seeds import derive_seed

SEED, CLASSES = 0, 100
EVALUATED_ARCHITECTURE = "shapes-vit"
"""A small encoder: the gain does not depend on the size of the network, and many steps are affordable."""
LOOP, LIBRARY, STOPPING = "published loop", "overtop", "overtop, stops early"
MIN_SPEEDUP, MIN_STOPPING_SPEEDUP = 1.0, 2.0
MAX_LOSS_DIFFERENCE = 1e-3
ATTACK = GradientAttack(kind="pgd", epsilon=1.0, steps=1)
HARMLESS = GradientAttack(kind="pgd", epsilon=1e-4, steps=1)
"""An attack that all images resist."""


@dataclass(frozen=True)
class Batch:
    """A classifier and images with their labels."""

    classifier: Classifier
    pixels: torch.Tensor
    labels: torch.Tensor

    @property
    def is_positive(self) -> torch.Tensor:
        """The mask of the labels."""
        return functional.one_hot(self.labels, CLASSES).bool()


def run(sizes: BenchmarkSizes) -> PartResult:
    """Time steps of an attack, and an evaluation in which half of the images are wrong from the start."""
    steps = _time_steps(sizes)
    stopping = _time_stopping(sizes)
    tables = {"attack": pd.concat([steps[0], stopping[0]], ignore_index=True)}
    return PartResult(tables, [*steps[1], *stopping[1]])


def _time_steps(sizes: BenchmarkSizes) -> tuple[pd.DataFrame, list[TargetCheck]]:
    """Attack steps per second of the plain loop and of the library, with the same result."""
    batch = _make_batch(sizes.architecture, sizes.attacked_images)
    spec = ATTACK.model_copy(update={"steps": sizes.attack_steps})
    calls = {LOOP: partial(_attack_with_loop, batch, spec), LIBRARY: partial(_ascend_with_library, batch, spec)}
    times = time_interleaved(calls, sizes.embedding_repeats)
    losses = [functional.cross_entropy(batch.classifier.logits(call()), batch.labels).item() for call in calls.values()]
    speedup = times.loc[LOOP, "cpu_s"] / times.loc[LIBRARY, "cpu_s"]
    what = f"{sizes.attack_steps} attack steps on {sizes.attacked_images} images, {sizes.architecture}"
    checks = [
        check_target(f"{what}, speedup over the {LOOP} (CPU time)", speedup, "at least", MIN_SPEEDUP),
        check_target(
            f"{what}, relative difference of the loss from the {LOOP}",
            abs(losses[1] / losses[0] - 1), "at most", MAX_LOSS_DIFFERENCE,
        ),
    ]  # fmt: skip
    return _describe(times, sizes.architecture, sizes.attacked_images, sizes.attack_steps), checks


def _time_stopping(sizes: BenchmarkSizes) -> tuple[pd.DataFrame, list[TargetCheck]]:
    """An evaluation with the same misclassified images, attacking only those that are still right."""
    batch = _make_batch(EVALUATED_ARCHITECTURE, sizes.robust_images)
    batch.labels[::2] = (batch.labels[::2] + 1) % CLASSES
    spec = HARMLESS.model_copy(update={"steps": sizes.robust_steps})
    calls = {
        LOOP: partial(_attack_with_loop, batch, spec),
        STOPPING: partial(_evaluate_with_library, batch, spec.model_copy(update={"early_stop": True})),
    }
    times = time_interleaved(calls, sizes.embedding_repeats)
    wrong = [is_misclassified(batch.classifier.logits(call()), batch.is_positive) for call in calls.values()]
    speedup = times.loc[LOOP, "cpu_s"] / times.loc[STOPPING, "cpu_s"]
    what = f"PGD-{sizes.robust_steps} on {sizes.robust_images} images, half of them wrong"
    checks = [
        check_target(f"{what}, speedup of stopping early (CPU time)", speedup, "at least", MIN_STOPPING_SPEEDUP),
        check_target(f"{what}, images with another verdict", int((wrong[0] != wrong[1]).sum()), "at most", 0),
    ]
    return _describe(times, EVALUATED_ARCHITECTURE, sizes.robust_images, sizes.robust_steps), checks


def _describe(times: pd.DataFrame, architecture: str, images: int, steps: int) -> pd.DataFrame:
    described = times.rename_axis("way").reset_index().assign(architecture=architecture, images=images, steps=steps)
    return described.assign(image_steps_per_cpu_s=images * steps / described["cpu_s"])


def _ascend_with_library(batch: Batch, spec: GradientAttack) -> torch.Tensor:
    """Only the attack, without verdicts before and after it, as the plain loop."""
    epsilon, is_positive = spec.epsilon / 255, batch.is_positive
    return perturb_from(
        _start(batch, epsilon),
        batch.pixels,
        lambda pixels: cross_entropy(batch.classifier.logits(pixels), is_positive),
        epsilon=epsilon,
        steps=spec.steps,
        step=spec.step_length / 255,
    )


def _evaluate_with_library(batch: Batch, spec: GradientAttack) -> torch.Tensor:
    return attack_batch(batch.classifier.logits, batch.pixels, batch.is_positive, spec, SEED).pixels


def _attack_with_loop(batch: Batch, spec: GradientAttack) -> torch.Tensor:
    """Attack as published code does: every image in every step, through the model as it was loaded."""
    encoder, gallery = batch.classifier.encoder, batch.classifier.gallery
    epsilon, step = spec.epsilon / 255, spec.step_length / 255
    delta = _start(batch, epsilon) - batch.pixels
    for _ in range(spec.steps):
        delta.requires_grad_()
        logits = gallery.logits(encoder.model.encode_image(batch.classifier.normalise(batch.pixels + delta)))
        (gradient,) = torch.autograd.grad(functional.cross_entropy(logits, batch.labels), delta)
        delta = torch.clamp(delta.detach() + step * torch.sign(gradient), -epsilon, epsilon)
        delta = torch.clamp(delta, 0 - batch.pixels, 1 - batch.pixels)
    return batch.pixels + delta


def _start(batch: Batch, epsilon: float) -> torch.Tensor:
    """The start of the first restart."""
    return random_point(batch.pixels, epsilon, torch.Generator().manual_seed(derive_seed(SEED, 0)))


def _make_batch(architecture: str, images: int) -> Batch:
    """A classifier with random weights and classes, and images with its own answers as labels."""
    torch.manual_seed(SEED)
    spec = EncoderSpec(architecture=architecture, checkpoint="random")
    encoder = assemble_encoder("random", spec, build_model("random", spec, None), None, "cpu")
    classifier = Classifier(encoder, torch.randn(CLASSES, encoder.widths["image"]))
    pixels = torch.stack([classifier.to_pixels(_make_photograph(number)) for number in range(images)])
    return Batch(classifier, pixels, classifier.logits(pixels).argmax(dim=1))


def _make_photograph(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.BICUBIC)
