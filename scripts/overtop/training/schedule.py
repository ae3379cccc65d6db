"""The learning rate of each training step."""

import math

from overtop.config.encoders import TrainSpec


def learning_rate(step: int, steps: int, spec: TrainSpec) -> float:
    """Linear warm-up to `spec.learning_rate`, then a half cosine to zero.

    Args:
        step: index of the step, from 0.
        steps: number of all steps.
        spec: gives the maximum and the fraction of warm-up steps.
    """
    warm_up_steps = round(steps * spec.warm_up)
    if step < warm_up_steps:
        return spec.learning_rate * (step + 1) / warm_up_steps
    progress = (step - warm_up_steps) / max(1, steps - warm_up_steps)
    return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
