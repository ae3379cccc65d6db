"""The learning rate of each training step."""

import math


def learning_rate(step: int, steps: int, maximum: float, warm_up_steps: int) -> float:
    """Linear warm-up to `maximum`, then a half cosine to zero.

    Args:
        step: index of the step, from 0.
        steps: number of all steps.
        maximum: the rate at the end of the warm-up.
        warm_up_steps: steps of the warm-up; with as many as `steps` or more the rate only rises.
    """
    if step < warm_up_steps:
        return maximum * (step + 1) / warm_up_steps
    progress = (step - warm_up_steps) / max(1, steps - warm_up_steps)
    return maximum * 0.5 * (1 + math.cos(math.pi * progress))
