"""What an attack maximises: per-image losses of logits, with all positives of an image merged into one.

An image may have several right answers: its captions' groups, or its labels. The largest of their logits counts, so
that an attack succeeds only when a wrong answer comes before all of them.
"""

from collections.abc import Callable

import torch

AttackLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Maps logits (B, G) and the mask of positives (B, G) to one value per image (B,), larger where it is more wrong."""

MARGIN_LIMIT = 50.0
"""The margin of a wrong answer, in logits, from which on an image is attacked no further (published code: +50)."""


def cross_entropy(logits: torch.Tensor, is_positive: torch.Tensor) -> torch.Tensor:
    """Return -log p of each image's positives, merged into one answer by their largest logit.

    With one positive per image this is the usual cross-entropy: `log(sum_j exp(z_j)) - z_y`.

    Args:
        logits: (B, G).
        is_positive: (B, G) bool, the right answers of each image.

    Returns:
        (B,); infinity for an image without a positive.
    """
    right, wrong = _split_logits(logits, is_positive)
    return torch.logsumexp(torch.cat([right[:, None], wrong], dim=1), dim=1) - right


def margin(logits: torch.Tensor, is_positive: torch.Tensor) -> torch.Tensor:
    """Return by how much the best wrong answer is ahead of the best right one, at most `MARGIN_LIMIT`.

    The loss of Carlini and Wagner (2017), as the code of zero-shot robustness papers uses it: they maximise
    `-max(z_y - max_{j != y} z_j + 50, 0)`, which is this value minus 50.

    Args:
        logits: (B, G).
        is_positive: (B, G) bool, the right answers of each image.

    Returns:
        (B,); negative for an image that is answered correctly, -infinity where no answer is wrong.
    """
    right, wrong = _split_logits(logits, is_positive)
    return (wrong.amax(dim=1) - right).clamp(max=MARGIN_LIMIT)


def is_misclassified(logits: torch.Tensor, is_positive: torch.Tensor) -> torch.Tensor:
    """Return whether the first of each image's largest logits is no positive: (B,) bool."""
    return ~is_positive.gather(1, logits.argmax(dim=1, keepdim=True))[:, 0]


def _split_logits(logits: torch.Tensor, is_positive: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest logit of the positives (B,), and the logits (B, G) with -infinity at the positives."""
    right = logits.masked_fill(~is_positive, -torch.inf).amax(dim=1)
    return right, logits.masked_fill(is_positive, -torch.inf)
