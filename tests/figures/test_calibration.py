import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from overtop.errors import OvertopError
from overtop.figures import style
from overtop.figures.calibration import calibration_figure, calibration_numbers, plot_calibration


@pytest.fixture
def panel(world, first_methods):
    curves, _, metrics = world(directions=("t2i",), pairs=first_methods(7))
    return curves, metrics


def drawn(ax):
    """Every marker: (level, recall, area)."""
    points = [
        (*xy, area)
        for c in ax.collections
        for xy, area in zip(c.get_offsets(), np.broadcast_to(c.get_sizes(), len(c.get_offsets())), strict=True)
    ]
    return np.array(sorted(points))


def legend(ax):
    """Texts of the legend of methods, the last one hung under the axes."""
    return [text.get_text() for text in ax.artists[-1].get_texts()]


def test_draws_on_the_given_axes_and_returns_them(panel):
    ax = Figure().subplots()
    assert plot_calibration(*panel, ax) is ax


def test_makes_axes_of_its_own(panel):
    assert isinstance(plot_calibration(*panel), Axes)


def test_one_labelled_line_per_method_and_the_diagonal(panel):
    ax = plot_calibration(*panel)
    labels = [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]
    assert labels == legend(ax)
    assert len(labels) == 7 + 1


def test_no_diagonal_where_levels_are_ranks(world, first_methods):
    curves, _, metrics = world(directions=("t2i",), pairs=first_methods(2), binning="equal_count")
    assert not any("diagonal" in text for text in legend(plot_calibration(curves, metrics)))


def test_legend_goes_from_best_to_worst_and_says_it_in_brackets(panel):
    curves, metrics = panel
    texts = legend(plot_calibration(curves, metrics))[:-1]
    expected = [f"[{value:.2f}]" for value in metrics.sort_values("neg_sr2", ascending=False)["neg_sr2"]]
    assert [text[text.index("[") :] for text in texts] == expected
    assert any(text.startswith("Top-1 similarity, MC dropout [") for text in texts)


def test_every_marker_is_in_the_numbers_and_every_number_is_a_marker(panel):
    numbers = calibration_numbers(*panel)
    points = drawn(plot_calibration(*panel))
    expected = np.array(sorted(numbers[["level", "recall_at_1", "share"]].itertuples(index=False, name=None)))
    np.testing.assert_allclose(points[:, :2], expected[:, :2])
    np.testing.assert_allclose(points[:, 2] / points[:, 2].sum(), expected[:, 2] / expected[:, 2].sum())


def test_every_vertex_of_a_line_is_in_the_numbers(panel):
    numbers = calibration_numbers(*panel)
    known = set(numbers[["level", "recall_at_1"]].itertuples(index=False, name=None))
    for line in plot_calibration(*panel).lines:
        if "diagonal" not in line.get_label():
            assert {(x, y) for x, y in line.get_xydata() if not np.isnan(y)} <= known


def test_a_bin_of_two_queries_is_tiny_and_faint(panel):
    curves, metrics = panel
    one = curves[curves["estimator"] == curves["estimator"].iloc[0]].query("kind == 'deterministic'").copy()
    one["n_queries"] = [1000] * (len(one) - 1) + [2]
    ax = plot_calibration(one, metrics)
    strong, faint = ax.collections
    assert len(faint.get_offsets()) == 1
    assert faint.get_alpha() == style.FAINT
    assert strong.get_alpha() == 1
    assert faint.get_sizes()[0] < strong.get_sizes().min() / 400
    full, weak = (line.get_ydata() for line in ax.lines[:2])
    assert np.isnan(full[-1])
    assert not np.isnan(weak[-2:]).any()


def test_shares_add_up_to_one_for_every_method(world):
    curves, _, metrics = world(("coco", "flickr30k"))
    numbers = calibration_numbers(curves, metrics)
    sums = numbers.groupby(["dataset", "direction", "posterior", "estimator"])["share"].sum()
    assert len(sums) == 2 * 2 * 16
    np.testing.assert_allclose(sums, 1)


def test_a_figure_has_a_panel_for_every_dataset_and_direction(world, first_methods):
    curves, _, metrics = world(("coco", "flickr30k"), pairs=first_methods(2), queries=(200, 40))
    figure = calibration_figure(curves, metrics)
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "MSCOCO, text to image (200 queries)",
        "MSCOCO, image to text (40 queries)",
        "Flickr30K, text to image (200 queries)",
        "Flickr30K, image to text (40 queries)",
    ]
    assert figure.get_supxlabel() == "corrected protocol; bins of equal width; labelled positives"


def test_a_missing_panel_leaves_a_gap(world, first_methods):
    curves, _, metrics = world(("coco", "flickr30k"), pairs=first_methods(2), queries=(200, 40))
    gone = (curves["dataset"] == "coco") & (curves["direction"] == "i2t")
    assert len(calibration_figure(curves[~gone], metrics).axes) == 3


def test_nothing_lies_outside_the_page_or_on_top_of_another(world):
    curves, _, metrics = world()
    figure = calibration_figure(curves, metrics)
    with style.settings():
        figure.draw_without_rendering()
    page = figure.bbox
    for ax in figure.axes:
        sizes, methods = (artist.get_window_extent() for artist in ax.artists)
        assert page.contains(methods.x0, methods.y0)
        assert page.contains(methods.x1, methods.y1)
        assert methods.y1 < sizes.y0
        assert sizes.y1 < ax.xaxis.label.get_window_extent().y0
    left, right = (ax.get_tightbbox() for ax in figure.axes)
    assert left.x1 < right.x0


def test_long_names_widen_the_page_and_do_not_squeeze_the_axes(panel):
    curves, metrics = panel
    words = {"adversarial_exact": "The exact radius of the cone in which the top hit stays on top"}
    for size in (curves, metrics):
        size["posterior"] += "-of-a-rather-large-encoder"
    figure = calibration_figure(curves, metrics, labels=words)
    with style.settings():
        figure.draw_without_rendering()
    legend, axes = figure.axes[0].artists[-1].get_window_extent(), figure.axes[0].get_window_extent()
    assert figure.bbox.contains(legend.x1, legend.y0)
    assert axes.width / figure.dpi > 0.8 * style.PANEL_WIDTH


@pytest.mark.parametrize("n", [1, 2])
def test_hardly_any_queries(world, first_methods, n):
    curves, _, metrics = world(directions=("t2i",), pairs=first_methods(2), queries=(n,))
    ax = plot_calibration(curves, metrics)
    assert len(drawn(ax)) == len(curves)


def test_all_hits_in_one_bin_are_a_point_and_an_undefined_bracket(panel):
    curves, metrics = panel
    one = curves.groupby(["posterior", "estimator"]).head(1).assign(recall_at_1=1.0, n_queries=2000)
    ax = plot_calibration(one, metrics.assign(neg_sr2=np.nan))
    assert all(text.endswith("[undefined]") for text in legend(ax))
    assert ax.get_ylim()[1] > 1


def test_a_panel_of_two_directions_is_refused(world, first_methods):
    curves, _, metrics = world(pairs=first_methods(1), queries=(60, 60))
    with pytest.raises(OvertopError, match="direction: a calibration panel shows one value, not i2t, t2i"):
        plot_calibration(curves, metrics)


def test_a_figure_of_two_protocols_is_refused(panel):
    curves, metrics = panel
    both = [pd.concat([f, f.assign(protocol="published")]) for f in (curves, metrics)]
    with pytest.raises(OvertopError, match="protocol: a calibration figure shows one value"):
        calibration_figure(*both)


def test_a_method_that_was_not_measured_is_named(panel):
    curves, metrics = panel
    with pytest.raises(OvertopError, match=r"metrics: no row for .*estimator=top1_similarity"):
        calibration_numbers(curves, metrics[metrics["estimator"] != "top1_similarity"])


def test_two_metrics_for_one_method_are_refused(panel):
    curves, metrics = panel
    with pytest.raises(OvertopError, match="two different rows"):
        calibration_numbers(curves, pd.concat([metrics, metrics.assign(neg_sr2=0.1)]))


def test_empty_or_incomplete_curves_are_refused(panel):
    curves, metrics = panel
    with pytest.raises(OvertopError, match="curves: no rows"):
        plot_calibration(curves.iloc[:0], metrics)
    with pytest.raises(OvertopError, match="curves: no column kind"):
        plot_calibration(curves.drop(columns="kind"), metrics)
