"""The terms of each objective of adversarial fine-tuning, one function each.

Notation: x is a clean image, x_a the attacked one, y its class; f is the trained image tower, f0 the frozen one that
training started from. s(x) are the cosines of f(x) with the prompts of all classes, z = s / T the logits at the model's
temperature T = 1 / logit scale, p = softmax(z), CE(z, y) = -ln softmax(z)_y; z0 and p0 are those of f0. Unless the
equation has a sum over the batch, every term is the mean over the images. The first term of an objective fits the data,
the others regularise.
"""

import torch
from torch.nn import functional

from overtop.config.objectives import (
    AgftObjective,
    DirichletObjective,
    DivergenceObjective,
    ObjectiveSpec,
    PlainObjective,
    UcatObjective,
    WeightedObjective,
)
from overtop.training.attention_maps import attention_map, map_distance
from overtop.training.divergences import evidence_weight, kl_categorical, weighted_kl_dirichlet
from overtop.training.objective_inputs import ObjectiveInputs

Terms = dict[str, torch.Tensor]

TGA_ADVERSARIAL_WEIGHT, TGA_CLEAN_WEIGHT = 0.08, 0.05
AGFT_TEACHER_RATIO = 0.4


def cosines(embeddings: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
    """s: cosines (B, C) of embeddings (B, D) with unit embeddings of prompts (C, D)."""
    return functional.normalize(embeddings, dim=-1) @ texts.T


def tecoa(inputs: ObjectiveInputs, spec: PlainObjective) -> Terms:
    """CE(z(x_a), y) (TeCoA; Mao et al. 2023)."""
    return {"cross_entropy": class_losses(inputs.embeddings("adversarial"), inputs, spec).mean()}


def pmg_aft(inputs: ObjectiveInputs, spec: PlainObjective) -> Terms:
    """CE(z(x_a), y) + sum KL(p0(x_a) || p(x_a)) + sum KL(p(x) || p(x_a)), sums over the batch (Wang et al. 2024).

    As published, the divergences are summed over the batch but the cross-entropy is averaged: their weight relative to
    it is the batch size, and a larger batch regularises more. Gradients reach f by both arguments of the last term.
    """
    batch_size = inputs.batch_size or len(inputs.labels)
    adversarial = inputs.scale * cosines(inputs.embeddings("adversarial"), inputs.texts)
    clean = inputs.scale * cosines(inputs.embeddings("clean"), inputs.texts)
    reference = inputs.scale * cosines(inputs.embeddings("reference_adversarial"), inputs.texts)
    return {
        "cross_entropy": functional.cross_entropy(adversarial, inputs.labels),
        "kl_reference": batch_size * kl_categorical(reference, adversarial).mean(),
        "kl_clean": batch_size * kl_categorical(clean, adversarial).mean(),
    }


def fare(inputs: ObjectiveInputs, spec: PlainObjective) -> Terms:
    """||f(x_a) - f0(x)||^2 of un-normalised embeddings, without labels (FARE; Schlarmann et al. 2024)."""
    return {"squared_distance": squared_distances(inputs.embeddings("adversarial"), inputs, spec).mean()}


def tga(inputs: ObjectiveInputs, spec: PlainObjective) -> Terms:
    """CE(z(x_a), y) + 0.08 ||A(x_a) - A0(x)||_2 + 0.05 ||A(x) - A0(x)||_2 (TGA-ZSR; Yu et al. 2024).

    A is the `attention_map` of the true class, interpolated to the size of the image. The norms are over pixels and the
    published weights belong to images of 224 x 224: at other sizes these terms scale with the side.
    """
    assert inputs.image_size is not None
    texts = inputs.texts[inputs.labels]
    names = ("adversarial_patches", "clean_patches", "reference_clean_patches")
    adversarial, clean, reference = (attention_map(inputs.embeddings(name), texts) for name in names)
    return {
        **tecoa(inputs, spec),
        "maps_adversarial": TGA_ADVERSARIAL_WEIGHT * map_distance(adversarial, reference, inputs.image_size).mean(),
        "maps_clean": TGA_CLEAN_WEIGHT * map_distance(clean, reference, inputs.image_size).mean(),
    }


def agft(inputs: ObjectiveInputs, spec: AgftObjective) -> Terms:
    """-sum_k q_k ln softmax(180 s(x_a))_k with q = softmax(0.4 x 180 s0(x)), without labels (AGFT)."""
    return {"soft_cross_entropy": soft_label_losses(inputs.embeddings("adversarial"), inputs, spec).mean()}


def ucat(inputs: ObjectiveInputs, spec: UcatObjective) -> Terms:
    """CE(z(x_a), y) + weight lambda KL(Dir(alpha(x_a)) || Dir(alpha0(x))), lambda = 1e5 / (1 + exp(2 / 0.07)) (UCAT).

    The stable form is w(x) KL(softmax(s0(x) / 0.07) || softmax(s(x_a) / 0.07)); see `weighted_kl`.
    """
    adversarial, reference = _adversarial_and_reference(inputs)
    divergence = weighted_kl_dirichlet(adversarial, reference, exact=spec.form == "exact")
    return _with_cross_entropy(inputs, adversarial, "kl_dirichlet", spec.weight * divergence)


def reverse_dirichlet(inputs: ObjectiveInputs, spec: DirichletObjective) -> Terms:
    """CE(z(x_a), y) + weight lambda KL(Dir(alpha0(x)) || Dir(alpha(x_a))) (ablation of UCAT).

    The evidence that weights the divergence is here that of the attacked image, which training can lower.
    """
    adversarial, reference = _adversarial_and_reference(inputs)
    divergence = weighted_kl_dirichlet(reference, adversarial, exact=spec.form == "exact")
    return _with_cross_entropy(inputs, adversarial, "kl_dirichlet", spec.weight * divergence)


def kl_clean_attacked(inputs: ObjectiveInputs, spec: DivergenceObjective) -> Terms:
    """CE(z(x_a), y) + weight KL(p0(x) || p(x_a)) at the temperature of the model (ablation of UCAT)."""
    adversarial, reference = _adversarial_and_reference(inputs)
    divergence = kl_categorical(inputs.scale * reference, inputs.scale * adversarial)
    return _with_cross_entropy(inputs, adversarial, "kl", spec.weight * divergence)


def kl_attacked_clean(inputs: ObjectiveInputs, spec: DivergenceObjective) -> Terms:
    """CE(z(x_a), y) + weight KL(p(x_a) || p0(x)) at the temperature of the model (ablation of UCAT)."""
    adversarial, reference = _adversarial_and_reference(inputs)
    divergence = kl_categorical(inputs.scale * adversarial, inputs.scale * reference)
    return _with_cross_entropy(inputs, adversarial, "kl", spec.weight * divergence)


def weighted_kl(inputs: ObjectiveInputs, spec: WeightedObjective) -> Terms:
    """CE(z(x_a), y) + weight w(x) KL(softmax(s0(x) / T') || softmax(s(x_a) / T')), T' set by `temperature`.

    With evidence, w(x) = lambda sum_k exp((s0_k(x) + 1) / 0.07), always at 0.07: T' changes the divergence alone, so
    T' = 0.07 is `ucat` in its stable form. Without, w is the mean of w(x) over the images given (a part of the batch
    if it is computed in parts): the same total weight, not distributed by evidence.
    """
    adversarial, reference = _adversarial_and_reference(inputs)
    divergence = kl_categorical(reference / spec.temperature, adversarial / spec.temperature)
    weights = evidence_weight(reference)
    if not spec.evidence:
        weights = weights.mean()
    return _with_cross_entropy(inputs, adversarial, "weighted_kl", spec.weight * weights * divergence)


def class_losses(embeddings: torch.Tensor, inputs: ObjectiveInputs, spec: ObjectiveSpec) -> torch.Tensor:
    """CE(z, y) of each embedding (B, D), (B,)."""
    logits = inputs.scale * cosines(embeddings, inputs.texts)
    return functional.cross_entropy(logits, inputs.labels, reduction="none")


def squared_distances(embeddings: torch.Tensor, inputs: ObjectiveInputs, spec: ObjectiveSpec) -> torch.Tensor:
    """||e - f0(x)||^2 of each un-normalised embedding (B, D), (B,)."""
    return (embeddings - inputs.embeddings("reference_clean")).square().sum(dim=-1)


def soft_label_losses(embeddings: torch.Tensor, inputs: ObjectiveInputs, spec: AgftObjective) -> torch.Tensor:
    """The cross-entropy of `agft` for each embedding (B, D), (B,)."""
    reference = cosines(inputs.embeddings("reference_clean"), inputs.texts)
    soft_labels = functional.softmax(AGFT_TEACHER_RATIO * spec.scale * reference, dim=-1)
    logits = spec.scale * cosines(embeddings, inputs.texts)
    return functional.cross_entropy(logits, soft_labels, reduction="none")


def _adversarial_and_reference(inputs: ObjectiveInputs) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines s(x_a) and s0(x), (B, C) each."""
    names = ("adversarial", "reference_clean")
    adversarial, reference = (cosines(inputs.embeddings(name), inputs.texts) for name in names)
    return adversarial, reference


def _with_cross_entropy(
    inputs: ObjectiveInputs, adversarial: torch.Tensor, name: str, divergence: torch.Tensor
) -> Terms:
    """The mean cross-entropy of the cosines s(x_a) (B, C), and the mean of a divergence (B,)."""
    cross_entropy = functional.cross_entropy(inputs.scale * adversarial, inputs.labels)
    return {"cross_entropy": cross_entropy, name: divergence.mean().to(cross_entropy.dtype)}
