import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from overtop.errors import OvertopError
from overtop.figures.robustness import plot_robustness, robustness_figure, robustness_numbers

EPSILONS = {"pgd-4": 4.0, "pgd-1": 1.0}


def make_table(datasets=("shapes", "average")):
    """Three models in the views clean, pgd-1, pgd-4 and another attack; and a measure of several labels."""
    rows = [
        (dataset, model, view, 0.9 - 0.2 * number - 0.1 * m, 400)
        for dataset in datasets
        for m, model in enumerate(("CLIP", "TeCoA", "UCAT"))
        for number, view in enumerate(("clean", "pgd-1", "pgd-4", "cw-1"))
    ]
    table = pd.DataFrame(rows, columns=["dataset", "model", "view", "value", "n_images"]).assign(measure="accuracy")
    table = pd.concat([table, table.assign(measure="map", dataset="coco")])
    return table.assign(value_low=table["value"] - 0.05, value_high=table["value"] + 0.05)


def test_numbers_are_accuracies_of_the_named_attacks_with_clean_at_zero():
    numbers = robustness_numbers(make_table(), EPSILONS)
    assert set(numbers["view"]) == {"clean", "pgd-1", "pgd-4"}
    assert set(numbers["dataset"]) == {"shapes", "average"}
    assert dict(zip(numbers["view"], numbers["epsilon"], strict=True)) == {"clean": 0.0, "pgd-1": 1.0, "pgd-4": 4.0}


def test_panel_has_a_line_per_model_in_percent_by_epsilon():
    numbers = robustness_numbers(make_table(("shapes",)), EPSILONS)
    ax = Figure().subplots()
    assert plot_robustness(numbers, ax) is ax
    assert len(ax.lines) == len(ax.collections) == 3
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[0, 90], [1, 70], [4, 50]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "4"]
    assert ax.get_title(loc="left") == "Shapes (400 images)"


def test_figure_has_a_panel_per_data_set_the_average_first_and_one_legend():
    figure = robustness_figure(robustness_numbers(make_table(("shapes", "stl10", "dtd", "average")), EPSILONS))
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.axison]
    assert titles[0] == "Average of the data sets (400 images)"
    assert len(titles) == 4
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["CLIP", "TeCoA", "UCAT"]


def test_two_attacks_with_the_same_epsilon_are_refused():
    with pytest.raises(OvertopError, match=r"one attack per epsilon, not pgd-1 \(1/255\), cw-1 \(1/255\)"):
        robustness_numbers(make_table(), {"pgd-1": 1.0, "cw-1": 1.0})


def test_tables_without_rows_or_with_several_data_sets_are_refused():
    with pytest.raises(OvertopError, match="no rows"):
        robustness_numbers(make_table()[:0], EPSILONS)
    with pytest.raises(OvertopError, match="a robustness panel shows one value"):
        plot_robustness(robustness_numbers(make_table(), EPSILONS))
