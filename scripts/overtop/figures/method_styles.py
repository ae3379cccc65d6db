"""How methods are drawn: three channels distinguish them, so that a print in grey loses nothing.

The estimator determines colour and marker (related estimators have similar markers), the kind of posterior determines
the line style and the fill of the marker.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.colors import to_hex, to_rgb

from overtop import labels
from overtop.figures.style import BLACK, BLUE, BROWN, GREEN, ORANGE, PURPLE, RED, SKY

ESTIMATOR_STYLES = {
    "top1_similarity": (BLACK, "o"),
    "top1_consistency": (ORANGE, "s"),
    "topk_consistency": (RED, "D"),
    "adversarial_pgd": (GREEN, "^"),
    "adversarial_linear": (SKY, "v"),
    "adversarial_exact": (BLUE, "<"),
    "margin": (PURPLE, ">"),
    "margin_topk": (ORANGE, ">"),
    "max_softmax": (BROWN, "P"),
    "bank_softmax": (BLUE, "p"),
    "bank_nnn": (RED, "p"),
    "entropy": (PURPLE, "P"),
    "energy": (GREEN, "P"),
    "dirichlet_vacuity": (SKY, "h"),
    "dirichlet_entropy": (RED, "h"),
    "probvlm": (PURPLE, "X"),
    **{
        f"{name}_{k}": (colour, marker)
        for name, colour in {"nqc": RED, "wig": BLACK, "smv": GREEN, "lsmv": SKY, "gap": BROWN}.items()
        for k, marker in ((5, "*"), (50, "H"))
    },
}
"""Colour and marker of each estimator."""

_OTHER_STYLES = [(colour, marker) for marker in "*d8" for colour in (PURPLE, BLUE, BROWN, ORANGE, GREEN, RED, SKY)]

# Several posteriors of one kind (two encoders, two dropout rates) get different patterns and widths, because a pattern
# alone is hard to see between large markers. Dashes scale with the width.
_LINE_WIDTHS = (1.1, 0.6, 1.8)  # points
_LINE_STYLES: dict[str, list[Any]] = {
    "deterministic": ["-", (0, (16, 5)), (0, (20, 1.5, 2, 1.5))],
    "mc_dropout": [(0, (4.5, 1.6)), (0, (10, 3, 2, 3)), (0, (3, 3))],
    "ensemble": [(0, (1.1, 1.1)), (0, (2, 4)), (0, (1, 1, 1, 4))],
}
_LINE_STYLES["imported"] = _LINE_STYLES["deterministic"]
_OTHER_LINE_STYLES: list[Any] = [(0, (5, 1.2, 1, 1.2, 1, 1.2)), (0, (2.5, 1.2)), (0, (8, 2, 2, 2))]
_WHITE_SHARES = {"deterministic": 0.0, "imported": 0.0, "ensemble": 0.6}  # of the marker's fill; other kinds: white


_MODEL_COLOURS = (BLACK, BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BROWN)
_MODEL_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_MODEL_LINE_STYLES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)))  # of the first, second and third eight


@dataclass(frozen=True)
class MethodStyle:
    """How a method is drawn, and its name: `label`, such as `Top-1 similarity, MC dropout`, ends in `posterior`."""

    label: str
    posterior: str
    colour: str
    marker: str
    line_style: Any
    fill: str
    width: float = _LINE_WIDTHS[0]

    def line_properties(self) -> dict[str, Any]:
        """Keyword arguments for `Axes.plot` and `Line2D`."""
        return {
            "color": self.colour,
            "linestyle": self.line_style,
            "linewidth": self.width,
            "marker": self.marker,
            "markerfacecolor": self.fill,
            "markeredgecolor": self.colour,
            "markeredgewidth": 0.7,
            "markersize": 4,
        }


MethodStyles = Mapping[tuple[str, str], MethodStyle]
"""The style of each (posterior, estimator)."""


def assign_styles(methods: pd.DataFrame) -> MethodStyles:
    """The style of each method of a figure.

    Args:
        methods: columns `posterior`, `kind`, `estimator` and optionally `architecture`. Pass all methods of a figure at
            once, so that its panels agree even on estimators and kinds without a fixed style.
    """
    others = sorted(set(methods["estimator"]) - set(ESTIMATOR_STYLES))
    estimators = ESTIMATOR_STYLES | {name: _OTHER_STYLES[i % len(_OTHER_STYLES)] for i, name in enumerate(others)}
    posteriors = labels.posterior_labels(methods)
    styles = {}
    for kind, same_kind in methods.groupby("kind"):
        line_styles = _LINE_STYLES.get(str(kind), _OTHER_LINE_STYLES)
        for i, (posterior, rows) in enumerate(same_kind.groupby("posterior", sort=False)):
            for estimator in rows["estimator"].unique():
                colour, marker = estimators[estimator]
                styles[str(posterior), str(estimator)] = MethodStyle(
                    label=f"{labels.format_name(estimator)}, {posteriors[str(posterior)]}",
                    posterior=posteriors[str(posterior)],
                    colour=colour,
                    marker=marker,
                    line_style=line_styles[i % len(line_styles)],
                    fill=_mix_with_white(colour, _WHITE_SHARES.get(str(kind), 1.0)),
                    width=_LINE_WIDTHS[i % len(_LINE_WIDTHS)],
                )
    return styles


def model_styles(models: Iterable[str]) -> list[MethodStyle]:
    """The style of each model of a robustness study; the first one, undefended, is black.

    Args:
        models: their display names, in the order of the study.
    """
    return [
        MethodStyle(
            label=model,
            posterior=model,
            colour=(colour := _MODEL_COLOURS[number % len(_MODEL_COLOURS)]),
            marker=_MODEL_MARKERS[number % len(_MODEL_COLOURS)],
            line_style=_MODEL_LINE_STYLES[number // len(_MODEL_COLOURS) % len(_MODEL_LINE_STYLES)],
            fill=colour,
        )
        for number, model in enumerate(models)
    ]


def _mix_with_white(colour: str, white_share: float) -> str:
    red, green, blue = (white_share + (1 - white_share) * channel for channel in to_rgb(colour))
    return to_hex((red, green, blue))
