"""What figures of reliability share: a diagram of accuracy against probability, and a smaller plot below it."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from overtop.figures import style
from overtop.figures.method_styles import MethodStyle
from overtop.figures.methods import draw_line

_HEIGHT_RATIOS = (3.2, 1)  # of the diagram and the plot below it
_LOWER_HEIGHT = 0.9  # inches


def panel_height(n_lines: int) -> float:
    """Height of a panel in inches with a legend of the diagonal and so many other lines below it."""
    return style.PANEL_HEIGHT + _LOWER_HEIGHT + style.LEGEND_LINE_HEIGHT * (n_lines + 2)


def panel_grid(figure: Figure | SubFigure, columns: int = 1) -> np.ndarray:
    """Axes of panels side by side, (2, columns): the diagrams, and the plots below them, which share their x axis."""
    return figure.subplots(2, columns, squeeze=False, sharex=True, height_ratios=_HEIGHT_RATIOS)


def draw_diagonal(diagram: Axes) -> Line2D:
    """Draw perfect calibration, and return its handle for the legend."""
    (line,) = diagram.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.8, zorder=1, label="Perfect calibration")
    return line


def draw_points(
    diagram: Axes, probability: pd.Series, accuracy: pd.Series, unreliable: pd.Series, line_style: MethodStyle
) -> None:
    """Draw one line of a diagram through its bins; those of few queries are faint."""
    marker = {"marker": line_style.marker, "clip_on": False}
    draw_line(diagram, probability, accuracy, unreliable, line_style, line_style.label, **marker)


def format_diagram(diagram: Axes, title: str, ylabel: str) -> None:
    """Set title, label and limits of a diagram."""
    diagram.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel=ylabel)
    diagram.set_title(title, loc="left")
