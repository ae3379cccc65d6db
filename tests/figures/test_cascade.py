import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from helpers.axes import legend_texts, line_points
from overtop.errors import OvertopError
from overtop.figures import style
from overtop.figures.cascade import cascade_figure, plot_cascade, plot_spent

RULES = ["full", "certain", "d=0.001", "d=0.01", "d=0.05", "d=0.1", "random"]
FRACTIONS = np.linspace(0, 1, 21)


def simulate_cascade(directions=("t2i", "i2t"), rules=RULES):
    rng = np.random.default_rng(0)
    curve, spent = [], []
    for direction in directions:
        for rule in rules:
            mean = {"full": 50, "random": 50, "certain": 37}.get(rule) or 20 + 10 * rng.random()
            change = -0.02 * FRACTIONS ** (1 if rule == "random" else 0.5)
            frame = pd.DataFrame(
                {"fraction": FRACTIONS, "samples_per_query": 1 + FRACTIONS * mean, "aurc": 0.2 + change}
            ).assign(
                n_queries=1000, change=change, change_low=change - 0.01 * FRACTIONS, direction=direction, rule=rule
            )
            frame["change_high"] = change + 0.01 * FRACTIONS
            if rule == "random":
                frame[["change_low", "change_high"]] = np.nan
            curve.append(frame)
            if rule not in ("full", "random"):
                share = np.clip((np.arange(51) - 10) / 30, 0, 1)
                frame = pd.DataFrame({"samples": np.arange(51), "share_settled": share})
                spent.append(frame.assign(direction=direction, rule=rule))
    none = pd.DataFrame(columns=["direction", "rule", "samples", "share_settled"])
    return pd.concat(curve, ignore_index=True), pd.concat(spent, ignore_index=True) if spent else none


@pytest.fixture
def panel():
    return simulate_cascade(("t2i",))


def curve_lines(ax):
    """The lines of the rules, in drawing order; interval bars and the zero line have two points."""
    return [line for line in ax.lines if len(line.get_xdata()) > 2]


@pytest.mark.parametrize(("plot", "table"), [(plot_cascade, 0), (plot_spent, 1)])
def test_plot_draws_on_given_axes(panel, plot, table):
    ax = Figure().subplots()
    assert plot(panel[table], ax) is ax
    assert isinstance(plot(panel[table]).get_figure(), Figure)


def test_legend_lists_the_rules_in_a_fixed_order(panel):
    curve, _ = panel
    ax = plot_cascade(curve.sample(frac=1, random_state=0))
    assert legend_texts(ax)[:2] == ["All samples [51.0]", "Until certain [38.0]"]
    assert legend_texts(ax)[-1] == "All samples, random queries [51.0]"
    entries = ax.artists[-1].get_lines()
    for look in ("get_color", "get_linestyle", "get_marker"):
        assert [getattr(line, look)() for line in curve_lines(ax)] == [getattr(entry, look)() for entry in entries]
    assert [entry.get_color() == style.GREY for entry in entries] == [False] * 6 + [True]


def test_lines_and_band_show_exactly_the_numbers(panel):
    curve, spent = panel
    ax = plot_cascade(curve)
    expected = set(curve[["samples_per_query", "change"]].itertuples(index=False, name=None))
    assert line_points(curve_lines(ax)) == expected
    full = curve[curve["rule"] == "full"]
    (band,) = ax.collections
    low, high = band.get_datalim(ax.transData).intervaly
    assert (low, high) == (full["change_low"].min(), full["change_high"].max())
    ax = plot_spent(spent)
    assert line_points(ax.lines) == set(spent[["samples", "share_settled"]].itertuples(index=False, name=None))


def test_stopping_rules_have_an_interval_bar_at_their_end(panel):
    curve, _ = panel
    ends = curve[(curve["fraction"] == 1) & ~curve["rule"].isin(["full", "random"])]
    bars = [line for line in plot_cascade(curve).lines if line.get_marker() == "_"]
    drawn = {(line.get_xdata()[0], *line.get_ydata()) for line in bars}
    assert len(bars) == len(ends)
    assert drawn == set(ends[["samples_per_query", "change_low", "change_high"]].itertuples(index=False, name=None))


def test_legend_of_spent_samples_shows_the_mean(panel):
    _, spent = panel
    rows = spent[spent["rule"] == "d=0.05"].sort_values("samples")
    mean = (np.diff(rows["share_settled"], prepend=0) * rows["samples"]).sum()
    assert f"Until settled, error 0.05 [{mean:.1f}]" in legend_texts(plot_spent(spent))


def test_rule_has_the_same_style_in_both_panels(panel):
    curve, spent = panel
    cascade_styles, spent_styles = (
        {
            line.get_label().split(" [")[0]: (line.get_color(), line.get_linestyle(), line._unscaled_dash_pattern)
            for line in ax.artists[-1].get_lines()
        }
        for ax in (plot_cascade(curve), plot_spent(spent))
    )
    assert spent_styles.items() <= cascade_styles.items()
    assert len(set(cascade_styles.values())) == len(RULES)


def test_figure_has_a_row_per_direction():
    figure = cascade_figure(*simulate_cascade(("i2t", "t2i")))
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    text, image = "Text to image", "Image to text"
    assert titles == [f"{text} (1,000 queries)", text, f"{image} (1,000 queries)", image]


def test_figure_without_stopping_rules_has_one_column():
    figure = cascade_figure(*simulate_cascade(rules=["full", "random"]))
    assert len(figure.axes) == 2


def test_nothing_overlaps_or_leaves_the_page():
    figure = cascade_figure(*simulate_cascade())
    with style.figure_style():
        figure.draw_without_rendering()
    for ax in figure.axes:
        for box in (ax.artists[-1].get_window_extent(), ax.title.get_window_extent(), ax.get_tightbbox()):
            assert figure.bbox.contains(box.x0, box.y0)
            assert figure.bbox.contains(box.x1, box.y1)
        assert ax.artists[-1].get_window_extent().y1 < ax.xaxis.label.get_window_extent().y0


def test_panel_of_two_directions_or_incomplete_curve_is_rejected():
    curve, spent = simulate_cascade()
    with pytest.raises(OvertopError, match="direction: a cascade panel shows one value"):
        plot_cascade(curve)
    with pytest.raises(OvertopError, match="direction: a panel of samples shows one value"):
        plot_spent(spent)
    with pytest.raises(OvertopError, match="cascade curve: no column change"):
        plot_cascade(curve.drop(columns="change"))
    with pytest.raises(OvertopError, match="cascade curve: no rows"):
        plot_cascade(curve.head(0))
