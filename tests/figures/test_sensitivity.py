import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from helpers.axes import legend_texts, line_points
from overtop.errors import OvertopError
from overtop.figures import style
from overtop.figures.sensitivity import (
    MEASURES,
    make_settings,
    plot_response,
    plot_sensitivity,
    sensitivity_figure,
    sensitivity_numbers,
)

RATES = {"r5": 0.5, "base": 0.2, "r1": 0.1}  # not sorted
PASSES = {"p100": 100, "base": 50, "p5": 5}
VALUES = {name: {"rate": RATES.get(name, 0.2), "passes": PASSES.get(name, 50)} for name in (*RATES, *PASSES)}
LONG_NAME = "a_collection_with_an_unusually_long_name"
QUERIES = {"t2i": 2000, "i2t": 400}


def make_run(dataset="shapes", directions=("t2i", "i2t"), values=VALUES):
    """Bins and metrics of some posteriors: as many bins as passes, at most ten; the last bin has a single query."""
    rng = np.random.default_rng(0)
    curves, metrics = [], []
    for posterior, setting in values.items():
        for direction in directions:
            key = {"dataset": dataset, "direction": direction, "posterior": posterior, "kind": "mc_dropout"}
            key |= {"estimator": "top1_consistency", "protocol": "corrected"}
            key |= {"binning": "equal_width", "positives": "labelled"}
            n = min(10, setting["passes"])
            sizes = np.full(n, (QUERIES[direction] - 1) // (n - 1))
            sizes[0] += QUERIES[direction] - 1 - sizes[:-1].sum()
            sizes[-1] = 1
            recalls = np.sort(rng.uniform(size=n))[::-1]
            bins = {"level": range(n), "n_queries": sizes, "recall_at_1": recalls}
            curves.append(pd.DataFrame(bins).assign(**key))
            row = {measure: rng.uniform(0.3, 0.9) for measure in MEASURES}
            ends = {f"{m}_{end}": row[m] + move for m in MEASURES for end, move in (("low", -0.1), ("high", 0.05))}
            metrics.append(key | row | ends | {"n_queries": QUERIES[direction]})
    return pd.concat(curves, ignore_index=True), pd.DataFrame(metrics)


@pytest.fixture
def settings():
    return make_settings(list(RATES), list(PASSES), VALUES)


def select_direction(frame, direction):
    return frame[frame["direction"] == direction]


def select_varied(settings, varied):
    return settings[settings["varied"] == varied]


def labelled_lines(ax):
    return [line for line in ax.lines if not line.get_label().startswith("_")]


def drawn_lines(ax):
    """Lines with points; seaborn adds empty ones for its legend."""
    return [line for line in ax.lines if len(line.get_xdata())]


def test_settings_are_sorted_by_the_varied_parameter(settings):
    rows = [tuple(row) for row in settings.itertuples(index=False)]
    assert rows == [
        ("rate", "r1", 0.1, 50),
        ("rate", "base", 0.2, 50),
        ("rate", "r5", 0.5, 50),
        ("passes", "p5", 0.2, 5),
        ("passes", "base", 0.2, 50),
        ("passes", "p100", 0.2, 100),
    ]


def test_settings_may_vary_a_single_parameter():
    assert set(make_settings([], list(PASSES), VALUES)["varied"]) == {"passes"}
    assert set(make_settings(list(RATES), [], VALUES)["varied"]) == {"rate"}


def test_row_that_varies_both_parameters_is_rejected():
    with pytest.raises(OvertopError, match="passes: a row of panels that varies the rate shows one value, not 100, 50"):
        make_settings(["r1", "p100"], [], VALUES)


def test_two_posteriors_with_the_same_rate_are_rejected():
    with pytest.raises(OvertopError, match=r"rate 0\.2: a row of panels shows one posterior, not base, twin"):
        make_settings(["base", "r1", "twin"], [], VALUES | {"twin": VALUES["base"]})


def test_posterior_without_a_rate_is_rejected():
    with pytest.raises(OvertopError, match="posterior 'ensemble' has no rate"):
        make_settings(["r1", "ensemble"], [], VALUES)


def test_numbers_contain_every_bin_once_per_row_of_panels(settings):
    curves, metrics = make_run()
    numbers = sensitivity_numbers(curves, metrics, settings)
    bins = curves["posterior"].value_counts()
    assert (
        numbers["posterior"].value_counts().to_dict() == (bins + bins[["base"]].reindex(bins.index).fillna(0)).to_dict()
    )
    shares = numbers.groupby(["varied", "direction", "posterior"])["share"].sum()
    np.testing.assert_allclose(shares, 1)
    expected = metrics.set_index(["posterior", "direction"])["aurc_high"]
    for row in numbers.itertuples():
        assert row.aurc_high == expected[row.posterior, row.direction]


def test_plots_draw_on_given_axes(settings):
    curves, metrics = make_run(directions=("t2i",))
    ax, *pair = Figure().subplots(3)
    assert plot_sensitivity(curves, metrics, select_varied(settings, "rate"), ax) is ax
    assert plot_response(metrics, select_varied(settings, "rate"), tuple(pair)) == tuple(pair)


def test_legend_is_sorted_by_the_varied_parameter_and_shows_intervals(settings):
    curves, metrics = make_run(directions=("t2i",))
    numbers = metrics.set_index("posterior")
    for varied, names in (("rate", ["r1", "base", "r5"]), ("passes", ["p5", "base", "p100"])):
        ax = plot_sensitivity(curves.sample(frac=1, random_state=0), metrics, select_varied(settings, varied))
        template = {"rate": "rate {rate:g}", "passes": "{passes} passes"}[varied]
        assert legend_texts(ax) == [
            f"{template.format(**VALUES[name])} [{numbers.neg_sr2[name]:.2f}] "
            f"{numbers.neg_sr2_low[name]:.2f} to {numbers.neg_sr2_high[name]:.2f}"
            for name in names
        ]
        assert [line.get_label() for line in labelled_lines(ax)] == legend_texts(ax)


def test_undefined_number_has_no_interval(settings):
    curves, metrics = make_run(directions=("t2i",))
    undefined = metrics.assign(neg_sr2=np.nan, neg_sr2_low=np.nan, neg_sr2_high=np.nan)
    assert legend_texts(plot_sensitivity(curves, undefined, select_varied(settings, "rate")))[0] == "rate 0.1 [–]"


def test_lines_and_markers_show_exactly_the_numbers(settings):
    curves, metrics = make_run(directions=("t2i",))
    row = select_varied(settings, "passes")
    numbers = sensitivity_numbers(curves, metrics, row)
    ax = plot_sensitivity(curves, metrics, row)
    expected = set(numbers[["level", "recall_at_1"]].itertuples(index=False, name=None))
    assert line_points(ax.lines) == expected
    assert {tuple(xy) for c in ax.collections for xy in c.get_offsets()} == expected


def test_bin_of_one_query_is_faint(settings):
    curves, metrics = make_run(directions=("t2i",))
    ax = plot_sensitivity(curves, metrics, select_varied(settings, "rate"))
    faint = [c for c in ax.collections if c.get_alpha() == style.FAINT_ALPHA]
    assert [len(c.get_offsets()) for c in faint] == [1, 1, 1]
    assert [line.get_alpha() for line in ax.lines if line.get_label().startswith("_")] == [style.FAINT_ALPHA] * 3


@pytest.mark.parametrize("varied", ["rate", "passes"])
def test_larger_settings_are_darker_in_grey_and_visible_on_white(varied):
    values = {f"x{n}": {"rate": 0.2, "passes": 50, varied: n if varied == "passes" else n / 10} for n in range(2, 9)}
    curves, metrics = make_run(directions=("t2i",), values=values)
    rows = make_settings(*((values, []) if varied == "rate" else ([], values)), values)
    lines = labelled_lines(plot_sensitivity(curves, metrics, rows))
    grey = np.array([np.dot([0.2126, 0.7152, 0.0722], _linear_rgb(line.get_color())) for line in lines])
    assert (np.diff(grey) < 0).all()
    assert 1.05 / (grey.max() + 0.05) > 2
    assert (np.diff(np.cbrt(grey)) < -0.05).all()  # visible steps of lightness
    handles = lines[0].axes.artists[-1].get_lines()
    assert len({handle.get_marker() for handle in handles}) == len(lines)


def _linear_rgb(colour):
    """Linear light of the three channels of an sRGB colour."""
    channels = np.array(to_rgb(colour))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def test_response_shows_every_setting_with_its_interval(settings):
    _, metrics = make_run()
    first, second = plot_response(metrics, select_varied(settings, "passes").sample(frac=1, random_state=1))
    assert [tick.get_text() for tick in second.get_xticklabels()] == ["5", "50", "100"]
    assert legend_texts(second) == ["text to image", "image to text"]
    for ax, measure in zip((first, second), MEASURES, strict=True):
        expected_bars = set()
        for line, direction in zip(drawn_lines(ax), ("t2i", "i2t"), strict=True):
            rows = select_direction(metrics, direction).set_index("posterior").loc[["p5", "base", "p100"]]
            assert line.get_xdata().round().tolist() == [0, 1, 2]
            assert line.get_ydata().tolist() == rows[measure].tolist()
            expected_bars |= set(zip(line.get_xdata(), rows[f"{measure}_low"], rows[f"{measure}_high"], strict=True))
        segments = [segment for bars in ax.collections for segment in bars.get_segments()]
        assert {(low[0], low[1], high[1]) for low, high in segments} == expected_bars
        assert len(segments) == len(expected_bars) == 6


def test_response_skips_a_setting_without_metrics_in_one_direction(settings):
    _, metrics = make_run()
    missing = (metrics["direction"] == "i2t") & (metrics["posterior"] == "base")
    first, _ = plot_response(metrics[~missing], select_varied(settings, "rate"))
    assert [line.get_xdata().round().tolist() for line in drawn_lines(first)] == [[0, 1, 2], [0, 2]]


def test_figure_has_a_row_per_parameter_and_a_column_per_direction(settings):
    figure = sensitivity_figure(*make_run("mscoco-subset"), settings)
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "MSCOCO subset, text to image\n50 passes; 2,000 queries",
        "MSCOCO subset, image to text\n50 passes; 400 queries",
        "MSCOCO subset\n50 passes",
        "",
        "MSCOCO subset, text to image\nrate 0.2; 2,000 queries",
        "MSCOCO subset, image to text\nrate 0.2; 400 queries",
        "MSCOCO subset\nrate 0.2",
        "",
    ]
    assert figure.get_supxlabel().startswith(
        "Top-1 consistency; corrected protocol; bins of equal width; labelled positives; faint: under 20"
    )


def test_responses_of_all_rows_have_the_same_limits(settings):
    axes = sensitivity_figure(*make_run(), settings).axes
    assert axes[2].get_ylim() == axes[6].get_ylim()
    assert axes[3].get_ylim() == axes[7].get_ylim()


def test_figure_of_one_direction_and_one_parameter_has_three_axes(settings):
    figure = sensitivity_figure(*make_run(directions=("i2t",)), select_varied(settings, "rate"))
    assert len(figure.axes) == 3


def test_metrics_of_other_binnings_are_ignored(settings):
    curves, metrics = make_run()
    more = pd.concat([metrics, metrics.assign(binning="equal_count", neg_sr2=0.0)])
    numbers = [sensitivity_numbers(curves, table, settings) for table in (metrics, more)]
    pd.testing.assert_frame_equal(*numbers)
    assert len(sensitivity_figure(curves, more, settings).axes) == 8


def test_figure_is_as_wide_as_a_page_or_as_long_titles(settings):
    figure = sensitivity_figure(*make_run(), settings)
    assert 6.8 < figure.get_figwidth() < 7.2
    wide = sensitivity_figure(*make_run(LONG_NAME), settings)
    assert wide.get_figwidth() > 1.3 * figure.get_figwidth()


@pytest.mark.parametrize("dataset", ["flickr30k-subset", LONG_NAME])
def test_nothing_overlaps_or_leaves_the_page(settings, dataset):
    figure = sensitivity_figure(*make_run(dataset), settings)
    with style.figure_style():
        figure.draw_without_rendering()
        boxes = [ax.get_tightbbox() for ax in figure.axes]
        footnote = figure._supxlabel.get_window_extent()
    for box in (*boxes, footnote):
        assert figure.bbox.contains(box.x0, box.y0)
        assert figure.bbox.contains(box.x1, box.y1)
    text, image, first, second = boxes[:4]
    assert text.x1 < image.x0
    assert image.x1 < min(first.x0, second.x0)
    assert second.y1 < first.y0
    assert footnote.y1 < min(box.y0 for box in boxes)


def test_panel_with_several_values_or_no_settings_is_rejected(settings):
    curves, metrics = make_run()
    with pytest.raises(OvertopError, match="direction: a sensitivity panel shows one value, not i2t, t2i"):
        plot_sensitivity(curves, metrics, select_varied(settings, "rate"))
    with pytest.raises(OvertopError, match="varied: a sensitivity panel shows one value, not passes, rate"):
        plot_sensitivity(select_direction(curves, "t2i"), metrics, settings)
    with pytest.raises(OvertopError, match="varied: a panel of settings shows one value"):
        plot_response(metrics, settings)
    with pytest.raises(OvertopError, match="settings: no rows"):
        sensitivity_figure(curves, metrics, settings.head(0))


def test_two_estimators_are_rejected(settings):
    curves, metrics = make_run()
    both = [pd.concat([f, f.assign(estimator="top1_similarity")]) for f in (curves, metrics)]
    with pytest.raises(OvertopError, match="estimator: a sensitivity figure shows one value"):
        sensitivity_figure(*both, settings)


def test_posterior_or_metric_that_is_missing_is_rejected(settings):
    curves, metrics = make_run()
    with pytest.raises(OvertopError, match="curves: no rows of p100"):
        sensitivity_numbers(curves[curves["posterior"] != "p100"], metrics, settings)
    with pytest.raises(OvertopError, match="metrics: no column aurc_low"):
        sensitivity_numbers(curves, metrics.drop(columns="aurc_low"), settings)


def test_equal_figures_are_saved_as_equal_bytes(settings, tmp_path):
    for run in "ab":
        figure = sensitivity_figure(*make_run(directions=("t2i",)), select_varied(settings, "passes"))
        style.save_figure(figure, tmp_path / f"{run}.pdf", tmp_path / f"{run}.png")
    for end in ("pdf", "png"):
        assert (tmp_path / f"a.{end}").read_bytes() == (tmp_path / f"b.{end}").read_bytes()
