"""One look for print and screen: colours, markers and lines that survive grey, and files with the same bytes each time.

Three channels say the same thing, so that losing colour loses nothing: the estimator fixes colour and marker
(families share kindred marker shapes), the kind of posterior fixes the line style and how the marker is filled.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from matplotlib.transforms import ScaledTranslation

from overtop import labels as words
from overtop.storage.files import atomic_path

PANEL_WIDTH = 3.5
"""Inches: one column of a two-column page; two panels side by side fill its width."""

GREY = "#8a8a8a"
FEW = 20
"""R@1 of fewer queries (a standard error up to 0.11 and more) is drawn faint."""
FAINT = 0.3
"""Opacity of what is drawn faint."""

# Inches: axes with title and label; an entry of a legend; what stands left and right of its text.
_PANEL_HEIGHT, _LEGEND_LINE, _LEGEND_MARGIN = 2.9, 0.128, 1.05
_WIDTH = 1.1  # points: of a line

_PDF = {"Creator": "overtop", "Producer": None, "CreationDate": None}  # no date, no version: same figure, same bytes

_SETTINGS: Any = {  # matplotlib types it by the names of all its settings
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same letters on every machine
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 6.8,
    "legend.title_fontsize": 6.8,
    "legend.frameon": False,
    "legend.handlelength": 3.6,
    "legend.labelspacing": 0.3,
    "lines.linewidth": _WIDTH,
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3, and the text stays searchable
    "savefig.dpi": 220,
    "path.simplify": False,  # every plotted point is in the file
}

# Okabe and Ito's palette without its yellow, which vanishes on white, and with a brown.
_BLACK, _ORANGE, _SKY, _GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
_BLUE, _RED, _PURPLE, _BROWN = "#0072B2", "#D55E00", "#CC79A7", "#7A5230"
_ESTIMATORS = {
    "top1_similarity": (_BLACK, "o"),
    "top1_consistency": (_ORANGE, "s"),
    "topk_consistency": (_RED, "D"),
    "adversarial_pgd": (_GREEN, "^"),
    "adversarial_linear": (_SKY, "v"),
    "adversarial_exact": (_BLUE, "<"),
    "margin": (_PURPLE, ">"),
    "max_softmax": (_BROWN, "P"),
    "entropy": (_PURPLE, "P"),
    "energy": (_GREEN, "P"),
    "dirichlet_vacuity": (_SKY, "h"),
    "dirichlet_entropy": (_RED, "h"),
    "probvlm": (_PURPLE, "X"),
}
_UNKNOWN = [(colour, marker) for marker in "*dp8" for colour in (_PURPLE, _BLUE, _BROWN, _ORANGE, _GREEN, _RED, _SKY)]

# Several posteriors of one kind (two encoders, two dropout rates) take the kind's further patterns, and the widths:
# a pattern alone is lost where large markers stand close. Dashes scale with the width.
_WIDTHS = (_WIDTH, 0.6, 1.8)
_LINES: dict[str, list[Any]] = {
    "deterministic": ["-", (0, (16, 5)), (0, (20, 1.5, 2, 1.5))],
    "mc_dropout": [(0, (4.5, 1.6)), (0, (10, 3, 2, 3)), (0, (3, 3))],
    "ensemble": [(0, (1.1, 1.1)), (0, (2, 4)), (0, (1, 1, 1, 4))],
}
_OTHER_LINES: list[Any] = [(0, (5, 1.2, 1, 1.2, 1, 1.2)), (0, (2.5, 1.2)), (0, (8, 2, 2, 2))]
_LINES["imported"] = _LINES["deterministic"]
_WHITENESS = {"deterministic": 0.0, "imported": 0.0, "ensemble": 0.6}  # of the marker's face; every other kind: hollow


@dataclass(frozen=True)
class Look:
    """How one method is called and drawn."""

    estimator: str
    posterior: str
    colour: str
    marker: str
    line: Any
    face: str
    width: float = _WIDTH

    @property
    def label(self) -> str:
        """The method in words."""
        return f"{self.estimator}, {self.posterior}"

    def artist(self) -> dict[str, Any]:
        """Keyword arguments for `Axes.plot` and `Line2D`."""
        return {
            "color": self.colour,
            "linestyle": self.line,
            "linewidth": self.width,
            "marker": self.marker,
            "markerfacecolor": self.face,
            "markeredgecolor": self.colour,
            "markeredgewidth": 0.7,
            "markersize": 4,
        }


def line(ax: Axes, x: pd.Series, y: pd.Series, weak: pd.Series, look: Look, label: str, **keywords: Any) -> None:
    """A line that is faint wherever it leads to or from a `weak` point; `keywords` go to both parts."""
    near = weak | weak.shift(1, fill_value=False) | weak.shift(-1, fill_value=False)
    drawn = {**look.artist(), "marker": "", **keywords}
    ax.plot(x, y.where(~weak), label=label, **drawn)
    if weak.any():
        ax.plot(x, y.where(near), label=f"_faint {label}", alpha=FAINT, **drawn)


def handle(look: Look, label: str) -> Line2D:
    """A method's entry in a legend."""
    return Line2D([], [], label=label, **look.artist())


Looks = Mapping[tuple[str, str], Look]
"""The look of each (posterior, estimator)."""


@contextmanager
def settings() -> Iterator[None]:
    """Our matplotlib settings, put back on leaving."""
    with mpl.rc_context(_SETTINGS):
        yield


def looks(methods: pd.DataFrame, labels: Mapping[str, str] | None = None) -> Looks:
    """The look of each method of a figure.

    Args:
        methods: columns `posterior`, `kind`, `estimator`. Give all methods of a figure at once: then its panels
            agree even on estimators and posteriors that the style does not know.
        labels: estimators in words.
    """
    unknown = sorted(set(methods["estimator"]) - set(_ESTIMATORS))
    estimators = _ESTIMATORS | {name: _UNKNOWN[i % len(_UNKNOWN)] for i, name in enumerate(unknown)}
    posteriors = words.posteriors(methods)
    result = {}
    for kind, of_kind in methods.groupby("kind"):
        patterns = _LINES.get(str(kind), _OTHER_LINES)
        for i, (posterior, rows) in enumerate(of_kind.groupby("posterior", sort=False)):
            for estimator in rows["estimator"].unique():
                colour, marker = estimators[estimator]
                result[str(posterior), str(estimator)] = Look(
                    estimator=words.label(estimator, labels),
                    posterior=posteriors[str(posterior)],
                    colour=colour,
                    marker=marker,
                    line=patterns[i % len(patterns)],
                    face=_tint(colour, _WHITENESS.get(str(kind), 1.0)),
                    width=_WIDTHS[i % len(_WIDTHS)],
                )
    return result


def _tint(colour: str, whiteness: float) -> str:
    red, green, blue = (whiteness + (1 - whiteness) * channel for channel in to_rgb(colour))
    return to_hex((red, green, blue))


def panels(curves: pd.DataFrame, looks: Looks, n_legend_lines: int) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """An empty figure with one panel per dataset (rows) and direction (columns).

    Args:
        curves: columns `dataset`, `direction`.
        looks: of the methods; long names widen the panels.
        n_legend_lines: room to leave under each panel.
    """
    datasets = words.ordered(curves["dataset"], ())
    directions = words.ordered(curves["direction"], words.DIRECTIONS)
    width, height = _panel_size(looks, n_legend_lines)
    figure = Figure(figsize=(width * len(directions), height * len(datasets)), layout=_layout())
    grid = figure.subplots(len(datasets), len(directions), squeeze=False)
    present = set(zip(curves["dataset"], curves["direction"], strict=True))
    axes = {}
    for row, dataset in zip(grid, datasets, strict=True):
        for ax, direction in zip(row, directions, strict=True):
            if (dataset, direction) in present:
                axes[dataset, direction] = ax
            else:
                ax.remove()
    return figure, axes


def single(looks: Looks, n_legend_lines: int) -> Axes:
    """The Axes of a figure with one panel, sized as in `panels`."""
    return Figure(figsize=_panel_size(looks, n_legend_lines), layout=_layout()).subplots()


def text_width(text: str, size: str) -> float:
    """Inches that a line takes in the size of one of our settings, such as `legend.fontsize`."""
    font = FontProperties(family=_SETTINGS["font.family"], size=_SETTINGS[size])
    return float(TextPath((0, 0), text, prop=font).get_extents().width) / 72


def _panel_size(looks: Looks, n_legend_lines: int) -> tuple[float, float]:
    """Inches; a legend wider than its panel would squeeze the axes."""
    longest = max(text_width(f"{look.label} [undefined]", "legend.fontsize") for look in looks.values())
    return max(PANEL_WIDTH, _LEGEND_MARGIN + longest), _PANEL_HEIGHT + _LEGEND_LINE * n_legend_lines


def _layout() -> ConstrainedLayoutEngine:
    return ConstrainedLayoutEngine(h_pad=0.07, w_pad=0.07, hspace=0.04)


def legend_below(ax: Axes, handles: Sequence[Artist], title: str, *, below: float = 0.42, **keywords: Any) -> Legend:
    """A legend `below` inches under the axes, flush with its left edge; a legend already there stays."""
    drop = ScaledTranslation(0, -below, ax.get_figure(root=True).dpi_scale_trans)  # type: ignore[union-attr]
    legend = Legend(
        ax,
        handles,
        [str(handle.get_label()) for handle in handles],
        title=title,
        loc="upper left",
        bbox_to_anchor=(-0.02, 0.0),
        bbox_transform=ax.transAxes + drop,
        alignment="left",
        borderpad=0,
        borderaxespad=0,
        **keywords,
    )
    ax.add_artist(legend)
    legend.set_clip_on(False)
    return legend


def level(axes: Sequence[Axes]) -> None:
    """Give panels one upright range: those that stand side by side are compared."""
    low, high = zip(*(ax.get_ylim() for ax in axes), strict=True)
    for ax in axes:
        ax.set_ylim(min(low), max(high))


def note(figure: Figure, text: str) -> None:
    """A line of small grey print at the foot of the figure."""
    figure.supxlabel(text, x=0.01, ha="left", fontsize=6.5, color="#555555")


def save(figure: Figure, pdf_path: str | os.PathLike[str], png_path: str | os.PathLike[str]) -> None:
    """Write a figure for print and for the screen, each file whole or not at all; same figure, same bytes.

    Raises:
        OvertopError: the disk is full.
    """
    with settings():
        with atomic_path(pdf_path) as temporary:
            figure.savefig(temporary, format="pdf", metadata=_PDF)
        with atomic_path(png_path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})
