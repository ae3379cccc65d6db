import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from overtop.errors import OvertopError
from overtop.figures import style
from overtop.figures.cascade import cascade_figure, plot_cascade, plot_spent

RULES = ["full", "certain", "d=0.001", "d=0.01", "d=0.05", "d=0.1", "random"]
FRACTIONS = np.linspace(0, 1, 21)


def simulated(directions=("t2i", "i2t"), rules=RULES):
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
    return simulated(("t2i",))


def legend(ax):
    return [text.get_text() for text in ax.artists[-1].get_texts()]


def curves(ax):
    return [line for line in ax.lines if not line.get_label().startswith("_")]


@pytest.mark.parametrize(("draw", "which"), [(plot_cascade, 0), (plot_spent, 1)])
def test_draws_on_the_given_axes_and_returns_them(panel, draw, which):
    ax = Figure().subplots()
    assert draw(panel[which], ax) is ax
    assert isinstance(draw(panel[which]).get_figure(), Figure)


def test_a_line_per_rule_in_the_order_of_the_legend(panel):
    curve, _ = panel
    ax = plot_cascade(curve.sample(frac=1, random_state=0))
    assert [line.get_label() for line in curves(ax)] == legend(ax)
    assert legend(ax)[:2] == ["All samples [51.0]", "Until certain [38.0]"]
    assert legend(ax)[-1] == "All samples, chosen by chance [51.0]"
    assert [line.get_color() == style.GREY for line in curves(ax)] == [False] * 6 + [True]


def test_what_is_drawn_is_what_the_table_says(panel):
    curve, spent = panel
    ax = plot_cascade(curve)
    drawn = {tuple(point) for line in curves(ax) for point in line.get_xydata()}
    assert drawn == set(curve[["samples_per_query", "change"]].itertuples(index=False, name=None))
    full = curve[curve["rule"] == "full"]
    (band,) = ax.collections
    low, high = band.get_datalim(ax.transData).intervaly
    assert (low, high) == (full["change_low"].min(), full["change_high"].max())
    ax = plot_spent(spent)
    drawn = {tuple(point) for line in ax.lines for point in line.get_xydata()}
    assert drawn == set(spent[["samples", "share_settled"]].itertuples(index=False, name=None))


def test_stopping_rules_show_their_interval_at_the_end(panel):
    curve, _ = panel
    ends = curve[(curve["fraction"] == 1) & ~curve["rule"].isin(["full", "random"])]
    bars = [line for line in plot_cascade(curve).lines if line.get_marker() == "_"]
    drawn = [(line.get_xdata()[0], *line.get_ydata()) for line in bars]
    assert drawn == list(ends[["samples_per_query", "change_low", "change_high"]].itertuples(index=False, name=None))


def test_the_legend_tells_the_mean_samples(panel):
    _, spent = panel
    rows = spent[spent["rule"] == "d=0.05"].sort_values("samples")
    mean = (np.diff(rows["share_settled"], prepend=0) * rows["samples"]).sum()
    assert f"Until settled, error 0.05 [{mean:.1f}]" in legend(plot_spent(spent))


def test_a_rule_looks_the_same_in_both_panels(panel):
    curve, spent = panel
    looks = [
        {line.get_label(): (line.get_color(), line.get_linestyle()) for line in ax.artists[-1].get_lines()}
        for ax in (plot_cascade(curve), plot_spent(spent))
    ]
    named = [{label.split(" [")[0]: look for label, look in found.items()} for found in looks]
    assert named[1].items() <= named[0].items()
    assert len(set(named[0].values())) == len(RULES)


def test_a_row_of_the_figure_for_each_direction():
    figure = cascade_figure(*simulated(("i2t", "t2i")), "a note")
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    text, image = "Text to image", "Image to text"
    assert titles == [f"{text} (1,000 queries)", text, f"{image} (1,000 queries)", image]


def test_without_stopping_rules_there_is_one_column():
    figure = cascade_figure(*simulated(rules=["full", "random"]))
    assert len(figure.axes) == 2


def test_nothing_lies_outside_the_page():
    figure = cascade_figure(*simulated())
    with style.settings():
        figure.draw_without_rendering()
    for ax in figure.axes:
        for box in (ax.artists[-1].get_window_extent(), ax.title.get_window_extent(), ax.get_tightbbox()):
            assert figure.bbox.contains(box.x0, box.y0)
            assert figure.bbox.contains(box.x1, box.y1)
        assert ax.artists[-1].get_window_extent().y1 < ax.xaxis.label.get_window_extent().y0


def test_what_a_panel_cannot_show_is_refused():
    curve, spent = simulated()
    with pytest.raises(OvertopError, match="direction: a cascade panel shows one value"):
        plot_cascade(curve)
    with pytest.raises(OvertopError, match="direction: a panel of samples shows one value"):
        plot_spent(spent)
    with pytest.raises(OvertopError, match="cascade curve: no column change"):
        plot_cascade(curve.drop(columns="change"))
    with pytest.raises(OvertopError, match="cascade curve: no rows"):
        plot_cascade(curve.head(0))
