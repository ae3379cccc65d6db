"""Attacked images beside the clean ones, what changed, and the answer before and after."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from overtop.figures import style
from overtop.figures.style import GREEN, RED

IMAGE_WIDTH, LABEL_HEIGHT = 1.25, 0.34
"""Inches: width and height of an image, and the lines above it."""
MAX_LABEL = 22
"""Characters of an answer that are shown."""


@dataclass(frozen=True)
class Answers:
    """The top-1 answers to n images.

    Attributes:
        names: n texts.
        is_right: (n,) bool.
        entropy: (n,) entropy of the softmax over all answers, in nats.
    """

    names: Sequence[str]
    is_right: np.ndarray
    entropy: np.ndarray


def perturbed_figure(
    clean: np.ndarray, attacked: np.ndarray, before: Answers, after: Answers, epsilon: float, title: str
) -> Figure:
    """Draw one column per image: clean, attacked, and the difference, from black (-epsilon) to white (+epsilon).

    Args:
        clean: (n, 3, H, W) pixels in [0, 1].
        attacked: (n, 3, H, W).
        before: answers to the clean images.
        after: answers to the attacked images.
        epsilon: radius of the attack, in 1/255.
        title: what is shown.
    """
    difference = (0.5 + (attacked - clean) * 255 / (2 * epsilon)).clip(0, 1)
    height = 3 * IMAGE_WIDTH + 2 * LABEL_HEIGHT + 0.7
    with style.figure_style():
        figure = style.new_figure(IMAGE_WIDTH * len(clean) + 0.3, height)
        axes = figure.subplots(3, len(clean), squeeze=False)
        for column in range(len(clean)):
            for row, (images, answers) in enumerate([(clean, before), (attacked, after), (difference, None)]):
                _show(axes[row, column], images[column])
                if answers is not None:
                    _label(axes[row, column], answers, column)
        for ax, text in zip(axes[:, 0], ("clean", "attacked", "difference"), strict=True):
            ax.set_ylabel(text)
        figure.suptitle(title, x=0.01, ha="left", fontsize=8)
        style.add_footnote(
            figure, f"H: entropy of the answers in nats. Difference: black -{epsilon:g}/255, white +{epsilon:g}/255."
        )
    return figure


def _show(ax: Axes, image: np.ndarray) -> None:
    ax.imshow(image.transpose(1, 2, 0), interpolation="nearest", vmin=0, vmax=1)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)


def _label(ax: Axes, answers: Answers, column: int) -> None:
    """Write the answer above an image: green if it is right."""
    name = answers.names[column]
    short = name if len(name) <= MAX_LABEL else f"{name[: MAX_LABEL - 1]}…"
    colour = GREEN if answers.is_right[column] else RED
    ax.set_title(f"{short}\nH {answers.entropy[column]:.2f}", fontsize=6.5, color=colour, pad=2)
