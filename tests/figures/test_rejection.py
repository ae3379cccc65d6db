import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from overtop.errors import OvertopError
from overtop.figures import style
from overtop.figures.rejection import plot_rejection, rejection_figure, rejection_numbers


@pytest.fixture
def panel(world, first_methods):
    _, curves, metrics = world(directions=("i2t",), pairs=first_methods(7), queries=(400,))
    return curves, metrics


def legend(ax):
    return [text.get_text() for text in ax.artists[-1].get_texts()]


def points(lines):
    return {(x, y) for line in lines for x, y in line.get_xydata() if not np.isnan(y)}


def test_draws_on_the_given_axes_and_returns_them(panel):
    ax = Figure().subplots()
    assert plot_rejection(*panel, ax) is ax


def test_one_labelled_line_per_method_and_a_grey_bound_per_posterior(panel):
    ax = plot_rejection(*panel)
    lines = [line for line in ax.lines if not line.get_label().startswith("_")]
    assert [line.get_label() for line in lines] == legend(ax)
    assert [line.get_color() == style.GREY for line in lines] == [True] * 2 + [False] * 7


def test_legend_goes_from_the_largest_area_to_the_smallest(panel):
    curves, metrics = panel
    texts = legend(plot_rejection(curves, metrics))
    assert texts[0].startswith("Upper bound, deterministic [")
    assert texts[1].startswith("Upper bound, MC dropout [")
    expected = [f"[{area:.3f}]" for area in sorted(metrics["rejection_auc"], reverse=True)]
    assert [text[text.index("[") :] for text in texts[2:]] == expected


def test_what_is_drawn_is_what_the_numbers_say(panel):
    numbers = rejection_numbers(*panel)
    ax = plot_rejection(*panel)
    grey = [line for line in ax.lines if line.get_color() == style.GREY]
    rest = [line for line in ax.lines if line.get_color() != style.GREY]
    for lines, column in ((grey, "oracle_recall_at_1"), (rest, "recall_at_1")):
        assert points(lines) == set(numbers[["fraction_rejected", column]].itertuples(index=False, name=None))


def test_the_tail_of_few_queries_is_faint(panel):
    curves, metrics = panel
    one = curves.query("kind == 'deterministic' and estimator == 'top1_similarity'")
    strong, faint = plot_rejection(one, metrics).lines[1:]
    kept = 400 - one["n_rejected"].to_numpy()
    assert np.isnan(strong.get_ydata()).tolist() == (kept < style.FEW).tolist()
    assert faint.get_alpha() == style.FAINT
    assert not np.isnan(faint.get_ydata()[kept < style.FEW]).any()


def test_binnings_of_the_metrics_do_not_multiply_the_curves(panel):
    curves, metrics = panel
    both = pd.concat([metrics, metrics.assign(binning="equal_count", neg_sr2=0.0)])
    assert len(rejection_numbers(curves, both)) == len(curves)


def test_a_panel_for_each_direction_with_the_range_of_its_own_curves(world, first_methods):
    _, curves, metrics = world(pairs=first_methods(3))
    easy = curves["direction"] == "i2t"
    columns = ["recall_at_1", "oracle_recall_at_1"]
    curves.loc[easy, columns] = 0.9 + 0.1 * curves.loc[easy, columns]
    figure = rejection_figure(curves, metrics)
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "Shapes, text to image (2,000 queries)",
        "Shapes, image to text (400 queries)",
    ]
    low = [ax.get_ylim()[0] for ax in figure.axes]
    assert low[0] < curves["recall_at_1"].min() < 0.85 < low[1] < 0.9


def test_nothing_lies_outside_the_page(world):
    _, curves, metrics = world()
    figure = rejection_figure(curves, metrics)
    with style.settings():
        figure.draw_without_rendering()
    for ax in figure.axes:
        (legend,) = (artist.get_window_extent() for artist in ax.artists)
        assert figure.bbox.contains(legend.x0, legend.y0)
        assert figure.bbox.contains(legend.x1, legend.y1)
        assert legend.y1 < ax.xaxis.label.get_window_extent().y0


@pytest.mark.parametrize("n", [1, 2])
def test_hardly_any_queries(world, first_methods, n):
    _, curves, metrics = world(directions=("t2i",), pairs=first_methods(2), queries=(n,))
    low, high = plot_rejection(curves, metrics).get_ylim()
    assert low <= curves["recall_at_1"].min() <= curves["oracle_recall_at_1"].max() <= high


def test_all_hits_are_a_line_inside_the_axes(panel):
    curves, metrics = panel
    ax = plot_rejection(curves.assign(recall_at_1=1.0, oracle_recall_at_1=1.0), metrics)
    low, high = ax.get_ylim()
    assert low < 1 < high


def test_a_panel_of_two_datasets_is_refused(world, first_methods):
    _, curves, metrics = world(("coco", "flickr30k"), ("t2i",), pairs=first_methods(1), queries=(60,))
    with pytest.raises(OvertopError, match="dataset: a rejection panel shows one value, not coco, flickr30k"):
        plot_rejection(curves, metrics)
