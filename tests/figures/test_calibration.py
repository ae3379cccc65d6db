import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.axes import legend_texts, line_points
from helpers.synthetic_curves import first_methods, simulate_run
from overtop.errors import OvertopError
from overtop.figures import style
from overtop.figures.calibration import calibration_figure, calibration_numbers, plot_calibration


@pytest.fixture
def panel():
    curves, _, metrics = simulate_run(directions=("t2i",), methods=first_methods(7))
    return curves, metrics


def drawn_markers(ax):
    """Every marker: (level, recall, area)."""
    markers = [
        (*xy, area)
        for c in ax.collections
        for xy, area in zip(c.get_offsets(), np.broadcast_to(c.get_sizes(), len(c.get_offsets())), strict=True)
    ]
    return np.array(sorted(markers))


def test_plot_draws_on_given_axes(panel):
    ax = Figure().subplots()
    assert plot_calibration(*panel, ax) is ax


def test_plot_without_axes_creates_a_figure(panel):
    assert isinstance(plot_calibration(*panel), Axes)


def test_legend_lists_every_method_and_the_diagonal(panel):
    ax = plot_calibration(*panel)
    line_labels = {line.get_label() for line in ax.lines if not line.get_label().startswith("_")}
    assert line_labels == set(legend_texts(ax))
    assert len(legend_texts(ax)) == 7 + 1
    assert "diagonal" in legend_texts(ax)[-1]


def test_bins_of_equal_count_have_no_diagonal():
    curves, _, metrics = simulate_run(directions=("t2i",), methods=first_methods(2), binning="equal_count")
    assert not any("diagonal" in text for text in legend_texts(plot_calibration(curves, metrics)))


def test_legend_is_sorted_by_the_number_in_brackets(panel):
    curves, metrics = panel
    texts = legend_texts(plot_calibration(curves, metrics))[:-1]
    expected = [f"[{value:.2f}]" for value in metrics.sort_values("neg_sr2", ascending=False)["neg_sr2"]]
    assert [text[text.index("[") :] for text in texts] == expected
    assert any(text.startswith("Top-1 similarity, MC dropout [") for text in texts)


def test_markers_show_exactly_the_numbers(panel):
    numbers = calibration_numbers(*panel)
    markers = drawn_markers(plot_calibration(*panel))
    expected = np.array(sorted(numbers[["level", "recall_at_1", "share"]].itertuples(index=False, name=None)))
    np.testing.assert_allclose(markers[:, :2], expected[:, :2])
    np.testing.assert_allclose(markers[:, 2] / markers[:, 2].sum(), expected[:, 2] / expected[:, 2].sum())


def test_lines_show_only_numbers(panel):
    points = set(calibration_numbers(*panel)[["level", "recall_at_1"]].itertuples(index=False, name=None))
    shown = line_points(line for line in plot_calibration(*panel).lines if "diagonal" not in line.get_label())
    assert shown
    assert shown <= points


def test_bin_of_two_queries_is_small_and_faint(panel):
    curves, metrics = panel
    method = curves[curves["estimator"] == curves["estimator"].iloc[0]].query("kind == 'deterministic'").copy()
    method["n_queries"] = [1000] * (len(method) - 1) + [2]
    ax = plot_calibration(method, metrics)
    opaque, faint = ax.collections
    assert len(faint.get_offsets()) == 1
    assert faint.get_alpha() == style.FAINT_ALPHA
    assert opaque.get_alpha() == 1
    assert faint.get_sizes()[0] < opaque.get_sizes().min() / 400
    opaque_line, faint_line = (line.get_ydata() for line in ax.lines[:2])
    assert np.isnan(opaque_line[-1])
    assert not np.isnan(faint_line[-2:]).any()


def test_shares_of_every_method_sum_to_one():
    curves, _, metrics = simulate_run(("coco", "flickr30k"))
    numbers = calibration_numbers(curves, metrics)
    sums = numbers.groupby(["dataset", "direction", "posterior", "estimator"])["share"].sum()
    assert len(sums) == 2 * 2 * 16
    np.testing.assert_allclose(sums, 1)


def test_figure_has_a_panel_per_dataset_and_direction():
    curves, _, metrics = simulate_run(("coco", "flickr30k"), methods=first_methods(2), queries=(200, 40))
    figure = calibration_figure(curves, metrics)
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "MSCOCO, text to image (200 queries)",
        "MSCOCO, image to text (40 queries)",
        "Flickr30K, text to image (200 queries)",
        "Flickr30K, image to text (40 queries)",
    ]
    assert figure.get_supxlabel() == "corrected protocol; bins of equal width; labelled positives"


def test_missing_panel_leaves_a_gap():
    curves, _, metrics = simulate_run(("coco", "flickr30k"), methods=first_methods(2), queries=(200, 40))
    missing = (curves["dataset"] == "coco") & (curves["direction"] == "i2t")
    assert len(calibration_figure(curves[~missing], metrics).axes) == 3


def test_nothing_overlaps_or_leaves_the_page():
    curves, _, metrics = simulate_run()
    figure = calibration_figure(curves, metrics)
    with style.figure_style():
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


def test_long_names_widen_the_page_and_not_squeeze_the_axes(panel):
    for table in panel:
        table["posterior"] += "-of-a-rather-large-encoder"
        table["estimator"] += " with the exact radius of the cone around the top hit"
    figure = calibration_figure(*panel)
    with style.figure_style():
        figure.draw_without_rendering()
    legend, axes = figure.axes[0].artists[-1].get_window_extent(), figure.axes[0].get_window_extent()
    assert figure.bbox.contains(legend.x1, legend.y0)
    assert axes.width / figure.dpi > 0.8 * style.PANEL_WIDTH


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_queries_are_drawn(n):
    curves, _, metrics = simulate_run(directions=("t2i",), methods=first_methods(2), queries=(n,))
    ax = plot_calibration(curves, metrics)
    assert len(drawn_markers(ax)) == len(curves)


def test_single_bin_of_hits_has_an_undefined_number(panel):
    curves, metrics = panel
    one_bin = curves.groupby(["posterior", "estimator"]).head(1).assign(recall_at_1=1.0, n_queries=2000)
    ax = plot_calibration(one_bin, metrics.assign(neg_sr2=np.nan))
    assert all(text.endswith("[–]") for text in legend_texts(ax))
    assert ax.get_ylim()[1] > 1


def test_panel_of_two_directions_is_rejected():
    curves, _, metrics = simulate_run(methods=first_methods(1), queries=(60, 60))
    with pytest.raises(OvertopError, match="direction: a calibration panel shows one value, not i2t, t2i"):
        plot_calibration(curves, metrics)


def test_figure_of_two_protocols_is_rejected(panel):
    both = [pd.concat([frame, frame.assign(protocol="published")]) for frame in panel]
    with pytest.raises(OvertopError, match="protocol: a calibration figure shows one value"):
        calibration_figure(*both)


def test_method_without_metrics_is_rejected(panel):
    curves, metrics = panel
    with pytest.raises(OvertopError, match=r"metrics: no row for .*estimator=top1_similarity"):
        calibration_numbers(curves, metrics[metrics["estimator"] != "top1_similarity"])


def test_method_with_two_different_metrics_is_rejected(panel):
    curves, metrics = panel
    with pytest.raises(OvertopError, match="two different rows"):
        calibration_numbers(curves, pd.concat([metrics, metrics.assign(neg_sr2=0.1)]))


def test_empty_or_incomplete_curves_are_rejected(panel):
    curves, metrics = panel
    with pytest.raises(OvertopError, match="curves: no rows"):
        plot_calibration(curves.iloc[:0], metrics)
    with pytest.raises(OvertopError, match="curves: no column kind"):
        plot_calibration(curves.drop(columns="kind"), metrics)
