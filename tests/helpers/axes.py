"""What a figure shows: texts and points that tests read from matplotlib axes."""

import numpy as np


def legend_texts(ax):
    """Return the texts of the legend that was added last."""
    return [text.get_text() for text in ax.artists[-1].get_texts()]


def line_points(lines):
    """Return the (x, y) of all points of lines, without gaps."""
    return {(x, y) for line in lines for x, y in line.get_xydata() if not np.isnan(y)}
