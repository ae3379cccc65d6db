import numpy as np
import pandas as pd
import pytest

from overtop.errors import OvertopError
from overtop.figures.bank import MEASURES, PANELS, bank_figure


def make_numbers(sources=("bank", "own topic missing", "other modality", "none")):
    """Return an ablation in which AUROC is the draw of a size, and otherwise the position of the value."""
    values = {
        "size": ["20", "100", "1000"],
        "nearest": ["1", "16"],
        "shrinkage": ["0", "0.75"],
        "source": list(sources),
    }
    rows = []
    for direction in ("t2i", "i2t"):
        for estimator in ("bank_softmax", "bank_nnn"):
            for varied, settings in (values | {"exponent": ["0", "0.5", "1"]}).items():
                for position, value in enumerate(settings):
                    for draw in range(3 if varied == "size" else 1):
                        key = {"direction": direction, "estimator": estimator, "varied": varied, "value": value}
                        rows.append(key | {"seed": draw, "auroc": 0.8 + draw / 100, "aurc": 0.2 + position / 100})
    return pd.DataFrame(rows).assign(dataset="d", posterior="p")


def test_figure_has_a_panel_per_measure_and_varied_parameter():
    figure = bank_figure(make_numbers())
    assert len(figure.axes) == len(MEASURES) * len(PANELS)
    labels = [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()]
    assert labels == list(MEASURES.values())


def test_line_is_the_mean_and_band_the_range_of_the_draws():
    panel = bank_figure(make_numbers()).axes[0]
    lines = [line for line in panel.lines if len(line.get_xdata()) == 3]
    assert len(lines) == 4
    for line in lines:
        np.testing.assert_allclose(line.get_xydata(), [(20, 0.81), (100, 0.81), (1000, 0.81)])
    band = panel.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.8, 0.82))


def test_sources_are_the_ticks_of_the_last_panel_and_no_bank_is_a_line():
    panel = bank_figure(make_numbers()).axes[len(MEASURES) * len(PANELS) - 1]
    assert [text.get_text() for text in panel.get_xticklabels()] == ["Bank", "Own topic missing", "Other modality"]
    baselines = [line for line in panel.lines if list(line.get_xdata()) == [0, 1]]
    assert [line.get_ydata()[0] for line in baselines] == [0.23, 0.23]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns="aurc"), "ablation: no column aurc; rebuild it"),
        (lambda rows: rows[:0], "ablation: no rows"),
        (lambda rows: pd.concat([rows, rows.assign(dataset="e")]), "dataset: a figure of banks shows one value"),
    ],
)
def test_figure_that_cannot_be_drawn_is_an_error(change, message):
    with pytest.raises(OvertopError, match=message):
        bank_figure(change(make_numbers()))
