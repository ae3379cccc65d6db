import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from helpers.axes import legend_texts, line_points
from helpers.synthetic_curves import first_methods, simulate_run
from overtop.errors import OvertopError
from overtop.figures import style
from overtop.figures.methods import order_methods
from overtop.figures.rejection import plot_rejection, rejection_figure, rejection_numbers


@pytest.fixture
def panel():
    _, curves, metrics = simulate_run(directions=("i2t",), methods=first_methods(7), queries=(400,))
    return curves, metrics


def test_plot_draws_on_given_axes(panel):
    ax = Figure().subplots()
    assert plot_rejection(*panel, ax) is ax


def test_legend_lists_a_grey_bound_per_posterior_then_the_methods(panel):
    ax = plot_rejection(*panel)
    lines = [line for line in ax.lines if not line.get_label().startswith("_")]
    assert [line.get_label() for line in lines] == legend_texts(ax)
    assert [line.get_color() == style.GREY for line in lines] == [True] * 2 + [False] * 7


def test_legend_is_sorted_by_area(panel):
    curves, metrics = panel
    texts = legend_texts(plot_rejection(curves, metrics))
    assert texts[0].startswith("Upper bound, deterministic [")
    assert texts[1].startswith("Upper bound, MC dropout [")
    expected = [f"[{area:.3f}]" for area in sorted(metrics["rejection_auc"], reverse=True)]
    assert [text[text.index("[") :] for text in texts[2:]] == expected


def test_lines_show_exactly_the_numbers(panel):
    numbers = rejection_numbers(*panel)
    ax = plot_rejection(*panel)
    bounds = [line for line in ax.lines if line.get_color() == style.GREY]
    methods = [line for line in ax.lines if line.get_color() != style.GREY]
    for lines, column in ((bounds, "oracle_recall_at_1"), (methods, "recall_at_1")):
        assert line_points(lines) == set(numbers[["fraction_rejected", column]].itertuples(index=False, name=None))


def test_recall_of_few_accepted_queries_is_faint(panel):
    curves, metrics = panel
    method = curves.query("kind == 'deterministic' and estimator == 'top1_similarity'")
    opaque, faint = plot_rejection(method, metrics).lines[1:]
    n_accepted = 400 - method["n_rejected"].to_numpy()
    assert np.isnan(opaque.get_ydata()).tolist() == (n_accepted < style.MIN_RELIABLE_QUERIES).tolist()
    assert faint.get_alpha() == style.FAINT_ALPHA
    assert not np.isnan(faint.get_ydata()[n_accepted < style.MIN_RELIABLE_QUERIES]).any()


def test_several_binnings_of_the_metrics_do_not_duplicate_curves(panel):
    curves, metrics = panel
    both = pd.concat([metrics, metrics.assign(binning="equal_count", neg_sr2=0.0)])
    assert len(rejection_numbers(curves, both)) == len(curves)


def test_figure_has_a_panel_per_direction_with_the_same_limits():
    _, curves, metrics = simulate_run(methods=first_methods(3))
    easy = curves["direction"] == "i2t"
    columns = ["recall_at_1", "oracle_recall_at_1"]
    curves.loc[easy, columns] = 0.9 + 0.1 * curves.loc[easy, columns]
    figure = rejection_figure(curves, metrics)
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "Shapes, text to image (2,000 queries)",
        "Shapes, image to text (400 queries)",
    ]
    [low, other] = [ax.get_ylim()[0] for ax in figure.axes]
    assert low == other < curves["recall_at_1"].min()


def test_axis_of_low_recall_begins_at_0(panel):
    curves, metrics = panel
    columns = ["recall_at_1", "oracle_recall_at_1"]
    low = curves.assign(**{column: 0.5 * curves[column] for column in columns})
    assert plot_rejection(low, metrics).get_ylim()[0] == -0.01


def test_axis_of_high_recall_begins_above_0(panel):
    curves, metrics = panel
    columns = ["recall_at_1", "oracle_recall_at_1"]
    high = curves.assign(**{column: 0.9 + 0.1 * curves[column] for column in columns})
    assert 0.85 < plot_rejection(high, metrics).get_ylim()[0] < high["recall_at_1"].min()


def test_legends_of_all_panels_have_the_same_order():
    _, curves, metrics = simulate_run(methods=first_methods(5))
    metrics = metrics.reset_index(drop=True)
    by_panel = metrics.groupby("direction")["rejection_auc"].rank()
    reverse = metrics["direction"] == "i2t"
    metrics["rejection_auc"] = (by_panel.where(~reverse, 3 - 0.1 * by_panel)) / 10
    texts = [[text.split(" [")[0] for text in legend_texts(ax)] for ax in rejection_figure(curves, metrics).axes]
    assert texts[0] == texts[1]
    means = metrics.groupby(["posterior", "estimator"])["rejection_auc"].mean()
    assert means.loc[[tuple(key) for key in order_methods(metrics, "rejection_auc")]].is_monotonic_decreasing


def test_nothing_overlaps_or_leaves_the_page():
    _, curves, metrics = simulate_run()
    figure = rejection_figure(curves, metrics)
    with style.figure_style():
        figure.draw_without_rendering()
    for ax in figure.axes:
        (legend,) = (artist.get_window_extent() for artist in ax.artists)
        assert figure.bbox.contains(legend.x0, legend.y0)
        assert figure.bbox.contains(legend.x1, legend.y1)
        assert legend.y1 < ax.xaxis.label.get_window_extent().y0


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_queries_are_inside_the_axes(n):
    _, curves, metrics = simulate_run(directions=("t2i",), methods=first_methods(2), queries=(n,))
    low, high = plot_rejection(curves, metrics).get_ylim()
    assert low <= curves["recall_at_1"].min() <= curves["oracle_recall_at_1"].max() <= high


def test_curve_of_hits_only_is_inside_the_axes(panel):
    curves, metrics = panel
    ax = plot_rejection(curves.assign(recall_at_1=1.0, oracle_recall_at_1=1.0), metrics)
    low, high = ax.get_ylim()
    assert low < 1 < high


def test_panel_of_two_datasets_is_rejected():
    _, curves, metrics = simulate_run(("coco", "flickr30k"), ("t2i",), methods=first_methods(1), queries=(60,))
    with pytest.raises(OvertopError, match="dataset: a rejection panel shows one value, not coco, flickr30k"):
        plot_rejection(curves, metrics)
