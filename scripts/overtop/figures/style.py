"""The common style of all figures: seaborn's theme and palette, panel sizes, legends, and reproducible files."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from matplotlib.transforms import ScaledTranslation

from overtop.storage.files import atomic_path

# Inches. Two panels side by side fill the width of a page; a panel's height includes its title and axis label.
PANEL_WIDTH, PANEL_HEIGHT, LEGEND_LINE_HEIGHT = 3.5, 2.9, 0.132

# The palette without its pink, grey and yellow, which are too pale for lines on white.
BLUE, ORANGE, GREEN, RED, PURPLE, BROWN, _, GREY, _, SKY = sns.color_palette("colorblind").as_hex()
BLACK = "#000000"

MIN_RELIABLE_QUERIES = 20
"""Recall@1 of fewer queries (a standard error of up to 0.11 and more) is drawn faint."""

FAINT_ALPHA = 0.3
"""Opacity of what is drawn faint."""

_PDF_METADATA = {"Creator": "overtop", "Producer": None, "CreationDate": None}  # same figure, same bytes

_SETTINGS: dict[Any, Any] = {  # matplotlib's types list the names of all its settings
    **sns.axes_style("whitegrid"),
    **sns.plotting_context("paper", font_scale=0.82),
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same letters on every machine
    "axes.edgecolor": "0.4",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "xtick.major.size": 1,
    "ytick.major.size": 1,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 3.6,
    "legend.labelspacing": 0.3,
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3, and the text stays searchable
    "savefig.dpi": 220,
    "path.simplify": False,  # every plotted point is in the file
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Apply the common matplotlib settings, and restore the previous ones on leaving."""
    with mpl.rc_context(_SETTINGS):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of some inches that is not registered with pyplot, with room between its panels."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(h_pad=0.07, w_pad=0.06, hspace=0.04))


def text_width(text: str, size: str) -> float:
    """Width in inches of a line of text in the size of a setting, such as `legend.fontsize`."""
    font = FontProperties(family=_SETTINGS["font.family"], size=_SETTINGS[size])
    return float(TextPath((0, 0), text, prop=font).get_extents().width) / 72


def legend_handle(label: str, **properties: Any) -> Line2D:
    """A legend entry: a line without points."""
    return Line2D([], [], label=label, **properties)


def take_legend_handles(ax: Axes, texts: Mapping[str, str]) -> list[Artist]:
    """Remove the legend that seaborn made, and return its entries labelled with `texts` by their current label."""
    handles, names = ax.get_legend_handles_labels()
    ax.get_legend().remove()  # type: ignore[union-attr]
    for handle, name in zip(handles, names, strict=True):
        handle.set_label(texts[name])
    return handles


def add_legend_below(
    ax: Axes, handles: Sequence[Artist], title: str, *, offset: float = 0.42, **keywords: Any
) -> Legend:
    """Add a legend `offset` inches below the axes, aligned with their left edge; earlier legends stay."""
    shift = ScaledTranslation(0, -offset, ax.get_figure(root=True).dpi_scale_trans)  # type: ignore[union-attr]
    legend = Legend(
        ax,
        handles,
        [str(handle.get_label()) for handle in handles],
        title=title,
        loc="upper left",
        bbox_to_anchor=(-0.02, 0.0),
        bbox_transform=ax.transAxes + shift,
        alignment="left",
        borderpad=0,
        borderaxespad=0,
        **keywords,
    )
    ax.add_artist(legend)
    legend.set_clip_on(False)
    return legend


def share_y_limits(axes: Sequence[Axes]) -> None:
    """Give panels that are compared with each other the same y limits."""
    low, high = zip(*(ax.get_ylim() for ax in axes), strict=True)
    for ax in axes:
        ax.set_ylim(min(low), max(high))


def add_footnote(figure: Figure, text: str) -> None:
    """Add small grey text at the bottom of the figure."""
    figure.supxlabel(text, x=0.01, ha="left", fontsize=6.5, color="#555555")


def save_figure(figure: Figure, pdf_path: str | os.PathLike[str], png_path: str | os.PathLike[str]) -> None:
    """Write a figure as PDF and PNG; the same figure gives the same bytes, and a failed write leaves no file.

    Raises:
        OvertopError: the disk is full.
    """
    pdf, png = BytesIO(), BytesIO()  # on a full disk, the writer of PDF files fails with an error of its own
    with figure_style():
        figure.savefig(pdf, format="pdf", metadata=_PDF_METADATA)
        figure.savefig(png, format="png", metadata={"Software": None})
    for path, content in ((pdf_path, pdf), (png_path, png)):
        with atomic_path(path) as temporary:
            temporary.write_bytes(content.getvalue())
