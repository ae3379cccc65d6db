import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from helpers.axes import legend_texts
from overtop.errors import OvertopError
from overtop.figures.thinning import plot_thinning, thinning_figure, thinning_numbers


def make_thinning(directions=("t2i", "i2t")):
    rng = np.random.default_rng(0)
    rows = [("sinkhorn", True, size, draw) for size in (50, 200) for draw in range(5)] + [("sinkhorn", True, 400, 0)]
    rows += [("max_softmax", False, 400, 0), ("learned", False, 400, 0)]
    table = pd.DataFrame(rows, columns=["estimator", "transductive", "n_queries", "draw"])
    parts = [table.assign(direction=d, auroc=rng.uniform(0.7, 0.9, len(table)), aurc=0.2) for d in directions]
    return pd.concat(parts, ignore_index=True).assign(dataset="shapes", posterior="p")


def test_numbers_are_mean_and_quantiles_over_the_draws():
    thinning = make_thinning()
    numbers = thinning_numbers(thinning)
    assert len(numbers) == 2 * (3 + 2)
    draws = thinning[(thinning["direction"] == "i2t") & (thinning["n_queries"] == 200)]["auroc"]
    row = numbers[(numbers["direction"] == "i2t") & (numbers["n_queries"] == 200)].iloc[0]
    expected = [draws.mean(), *draws.quantile([0.05, 0.95]), 5]
    np.testing.assert_allclose(row[["auroc", "auroc_low", "auroc_high", "n_draws"]].astype(float), expected)


def test_panel_marks_transductive_estimators_and_draws_the_others_flat():
    numbers = thinning_numbers(make_thinning(("t2i",)))
    ax = Figure().subplots()
    assert plot_thinning(numbers, ax) is ax
    texts = [text.split(" [")[0] for text in legend_texts(ax)]
    assert texts == ["Max softmax", "Learned (logistic regression)", "Sinkhorn†"]
    flat = [line for line in ax.lines if len(set(line.get_ydata())) == 1]
    assert len(flat) == 2
    (curve,) = [line for line in ax.lines if line not in flat]
    np.testing.assert_array_equal(curve.get_xdata(), [50, 200, 400])
    np.testing.assert_allclose(curve.get_ydata(), numbers[numbers["transductive"]]["auroc"])


def test_figure_has_a_panel_per_direction_with_the_same_limits():
    axes = thinning_figure(thinning_numbers(make_thinning())).axes
    assert [ax.get_title(loc="left").split(" (")[0] for ax in axes] == [
        "Shapes, text to image",
        "Shapes, image to text",
    ]
    assert axes[0].get_ylim() == axes[1].get_ylim()


def test_several_directions_in_a_panel_are_refused():
    with pytest.raises(OvertopError, match="a thinning panel shows one value"):
        plot_thinning(thinning_numbers(make_thinning()))
