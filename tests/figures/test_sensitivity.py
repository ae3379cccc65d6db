import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from overtop.errors import OvertopError
from overtop.figures import style
from overtop.figures.sensitivity import (
    MEASURES,
    plot_response,
    plot_sensitivity,
    sensitivity_figure,
    sensitivity_numbers,
    settings_of,
)

RATES = {"r5": 0.5, "base": 0.2, "r1": 0.1}  # in no order
PASSES = {"p100": 100, "base": 50, "p5": 5}
VALUES = {name: {"rate": RATES.get(name, 0.2), "passes": PASSES.get(name, 50)} for name in (*RATES, *PASSES)}
QUERIES = {"t2i": 2000, "i2t": 400}


def made(dataset="shapes", directions=("t2i", "i2t"), values=VALUES):
    """Bins and metrics of some posteriors: one bin for each pass, at most ten; the last bin has a single query."""
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
    return settings_of(list(RATES), list(PASSES), VALUES)


def of(frame, direction):
    return frame[frame["direction"] == direction]


def varying(settings, varied):
    return settings[settings["varied"] == varied]


def legend(ax):
    return [text.get_text() for text in ax.artists[-1].get_texts()]


def named(ax):
    return [line for line in ax.lines if not line.get_label().startswith("_")]


def points(lines):
    return {(x, y) for line in lines for x, y in line.get_xydata() if not np.isnan(y)}


def test_settings_stand_in_order_of_what_varies(settings):
    rows = [tuple(row) for row in settings.itertuples(index=False)]
    assert rows == [
        ("rate", "r1", 0.1, 50),
        ("rate", "base", 0.2, 50),
        ("rate", "r5", 0.5, 50),
        ("passes", "p5", 0.2, 5),
        ("passes", "base", 0.2, 50),
        ("passes", "p100", 0.2, 100),
    ]


def test_settings_may_vary_one_thing_alone():
    assert set(settings_of([], list(PASSES), VALUES)["varied"]) == {"passes"}
    assert set(settings_of(list(RATES), [], VALUES)["varied"]) == {"rate"}


def test_a_row_that_varies_two_things_is_refused():
    with pytest.raises(OvertopError, match="passes: a row of panels that varies the rate shows one value, not 100, 50"):
        settings_of(["r1", "p100"], [], VALUES)


def test_two_posteriors_with_the_same_rate_are_refused():
    with pytest.raises(OvertopError, match=r"rate 0\.2: a row of panels shows one posterior, not base, twin"):
        settings_of(["base", "r1", "twin"], [], VALUES | {"twin": VALUES["base"]})


def test_a_posterior_without_a_rate_is_named():
    with pytest.raises(OvertopError, match="posterior 'ensemble' has no rate"):
        settings_of(["r1", "ensemble"], [], VALUES)


def test_the_numbers_hold_every_bin_once_for_each_row_it_stands_in(settings):
    curves, metrics = made()
    numbers = sensitivity_numbers(curves, metrics, settings)
    bins = curves["posterior"].value_counts()
    assert (
        numbers["posterior"].value_counts().to_dict() == (bins + bins[["base"]].reindex(bins.index).fillna(0)).to_dict()
    )
    shares = numbers.groupby(["varied", "direction", "posterior"])["share"].sum()
    np.testing.assert_allclose(shares, 1)
    wanted = metrics.set_index(["posterior", "direction"])["aurc_high"]
    for row in numbers.itertuples():
        assert row.aurc_high == wanted[row.posterior, row.direction]


def test_draws_on_the_given_axes_and_returns_them(settings):
    curves, metrics = made(directions=("t2i",))
    ax, *pair = Figure().subplots(3)
    assert plot_sensitivity(curves, metrics, varying(settings, "rate"), ax) is ax
    assert plot_response(metrics, varying(settings, "rate"), tuple(pair)) == tuple(pair)


def test_the_legend_goes_by_what_varies_and_tells_the_interval(settings):
    curves, metrics = made(directions=("t2i",))
    found = metrics.set_index("posterior")
    for varied, names in (("rate", ["r1", "base", "r5"]), ("passes", ["p5", "base", "p100"])):
        ax = plot_sensitivity(curves.sample(frac=1, random_state=0), metrics, varying(settings, varied))
        said = {"rate": "rate {rate:g}", "passes": "{passes} passes"}[varied]
        assert legend(ax) == [
            f"{said.format(**VALUES[name])} [{found.neg_sr2[name]:.2f}] "
            f"{found.neg_sr2_low[name]:.2f} to {found.neg_sr2_high[name]:.2f}"
            for name in names
        ]
        assert [line.get_label() for line in named(ax)] == legend(ax)


def test_an_undefined_number_has_no_interval(settings):
    curves, metrics = made(directions=("t2i",))
    nothing = metrics.assign(neg_sr2=np.nan, neg_sr2_low=np.nan, neg_sr2_high=np.nan)
    assert legend(plot_sensitivity(curves, nothing, varying(settings, "rate")))[0] == "rate 0.1 [undefined]"


def test_every_number_is_drawn_and_nothing_else(settings):
    curves, metrics = made(directions=("t2i",))
    row = varying(settings, "passes")
    numbers = sensitivity_numbers(curves, metrics, row)
    ax = plot_sensitivity(curves, metrics, row)
    expected = set(numbers[["level", "recall_at_1"]].itertuples(index=False, name=None))
    assert points(ax.lines) == expected
    assert {tuple(xy) for c in ax.collections for xy in c.get_offsets()} == expected


def test_a_bin_of_one_query_is_faint(settings):
    curves, metrics = made(directions=("t2i",))
    ax = plot_sensitivity(curves, metrics, varying(settings, "rate"))
    faint = [c for c in ax.collections if c.get_alpha() == style.FAINT]
    assert [len(c.get_offsets()) for c in faint] == [1, 1, 1]
    assert [line.get_alpha() for line in ax.lines if line.get_label().startswith("_")] == [style.FAINT] * 3


@pytest.mark.parametrize("varied", ["rate", "passes"])
def test_the_larger_the_darker_even_in_grey_and_each_shows_on_white(varied):
    values = {f"x{n}": {"rate": 0.2, "passes": 50, varied: n if varied == "passes" else n / 10} for n in range(2, 9)}
    curves, metrics = made(directions=("t2i",), values=values)
    rows = settings_of(*((values, []) if varied == "rate" else ([], values)), values)
    lines = named(plot_sensitivity(curves, metrics, rows))
    grey = np.array([np.dot([0.2126, 0.7152, 0.0722], _linear(line.get_color())) for line in lines])
    assert (np.diff(grey) < 0).all()
    assert 1.05 / (grey.max() + 0.05) > 2
    assert (np.diff(np.cbrt(grey)) < -0.05).all()  # lightness steps that the eye tells
    handles = lines[0].axes.artists[-1].get_lines()
    assert len({handle.get_marker() for handle in handles}) == len(lines)


def _linear(colour):
    """The light of a colour's three channels."""
    channels = np.array(to_rgb(colour))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def test_the_response_shows_every_setting_with_its_interval(settings):
    _, metrics = made()
    first, second = plot_response(metrics, varying(settings, "passes").sample(frac=1, random_state=1))
    assert [tick.get_text() for tick in second.get_xticklabels()] == ["5", "50", "100"]
    assert legend(second) == ["text to image", "image to text"]
    for ax, measure in zip((first, second), MEASURES, strict=True):
        for line, bars, direction in zip(ax.lines, ax.collections, ("t2i", "i2t"), strict=True):
            found = of(metrics, direction).set_index("posterior").loc[["p5", "base", "p100"]]
            assert line.get_xdata().round().tolist() == [0, 1, 2]
            assert line.get_ydata().tolist() == found[measure].tolist()
            ends = [path[:, 1].tolist() for path in bars.get_segments()]
            assert ends == found[[f"{measure}_low", f"{measure}_high"]].to_numpy().tolist()
            assert [path[0, 0] for path in bars.get_segments()] == line.get_xdata().tolist()


def test_a_setting_that_was_not_measured_in_a_direction_leaves_its_place_empty(settings):
    _, metrics = made()
    gone = (metrics["direction"] == "i2t") & (metrics["posterior"] == "base")
    first, _ = plot_response(metrics[~gone], varying(settings, "rate"))
    assert [line.get_xdata().round().tolist() for line in first.lines] == [[0, 1, 2], [0, 2]]


def test_a_figure_has_a_row_for_what_varies_and_a_column_for_each_direction(settings):
    figure = sensitivity_figure(*made("mscoco-subset"), settings)
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
    said = figure.get_supxlabel()
    assert said.startswith(
        "Top-1 consistency; corrected protocol; bins of equal width; labelled positives; faint: under 20"
    )


def test_rows_share_the_range_of_their_responses(settings):
    axes = sensitivity_figure(*made(), settings).axes
    assert axes[2].get_ylim() == axes[6].get_ylim()
    assert axes[3].get_ylim() == axes[7].get_ylim()


def test_one_direction_and_one_thing_that_varies(settings):
    figure = sensitivity_figure(*made(directions=("i2t",)), varying(settings, "rate"))
    assert len(figure.axes) == 3


def test_other_rows_of_the_metrics_do_no_harm(settings):
    curves, metrics = made()
    more = pd.concat([metrics, metrics.assign(binning="equal_count", neg_sr2=0.0)])
    numbers = [sensitivity_numbers(curves, given, settings) for given in (metrics, more)]
    pd.testing.assert_frame_equal(*numbers)
    assert len(sensitivity_figure(curves, more, settings).axes) == 8


def test_three_panels_fill_a_page_and_a_long_name_widens_it(settings):
    figure = sensitivity_figure(*made(), settings)
    assert 6.8 < figure.get_figwidth() < 7.2
    named = sensitivity_figure(*made(), settings, labels={"shapes": "A collection with an unusually long name"})
    assert named.get_figwidth() > 1.3 * figure.get_figwidth()


@pytest.mark.parametrize("labels", [None, {"flickr30k": "A collection with an unusually long name"}])
def test_nothing_lies_outside_the_page_or_on_top_of_another(settings, labels):
    figure = sensitivity_figure(*made("flickr30k-subset"), settings, labels=labels)
    with style.settings():
        figure.draw_without_rendering()
        boxes = [ax.get_tightbbox() for ax in figure.axes]
        note = figure._supxlabel.get_window_extent()
    for box in (*boxes, note):
        assert figure.bbox.contains(box.x0, box.y0)
        assert figure.bbox.contains(box.x1, box.y1)
    text, image, first, second = boxes[:4]
    assert text.x1 < image.x0
    assert image.x1 < min(first.x0, second.x0)
    assert second.y1 < first.y0
    assert note.y1 < min(box.y0 for box in boxes)


def test_what_a_panel_cannot_show_is_refused(settings):
    curves, metrics = made()
    with pytest.raises(OvertopError, match="direction: a sensitivity panel shows one value, not i2t, t2i"):
        plot_sensitivity(curves, metrics, varying(settings, "rate"))
    with pytest.raises(OvertopError, match="varied: a sensitivity panel shows one value, not passes, rate"):
        plot_sensitivity(of(curves, "t2i"), metrics, settings)
    with pytest.raises(OvertopError, match="varied: a panel of settings shows one value"):
        plot_response(metrics, settings)
    with pytest.raises(OvertopError, match="settings: no rows"):
        sensitivity_figure(curves, metrics, settings.head(0))


def test_two_estimators_are_refused(settings):
    curves, metrics = made()
    both = [pd.concat([f, f.assign(estimator="top1_similarity")]) for f in (curves, metrics)]
    with pytest.raises(OvertopError, match="estimator: a sensitivity figure shows one value"):
        sensitivity_figure(*both, settings)


def test_a_posterior_that_was_not_evaluated_is_named(settings):
    curves, metrics = made()
    with pytest.raises(OvertopError, match="curves: no rows of p100"):
        sensitivity_numbers(curves[curves["posterior"] != "p100"], metrics, settings)
    with pytest.raises(OvertopError, match="metrics: no column aurc_low"):
        sensitivity_numbers(curves, metrics.drop(columns="aurc_low"), settings)


def test_the_files_have_the_same_bytes_every_time(settings, tmp_path):
    for run in "ab":
        figure = sensitivity_figure(*made(directions=("t2i",)), varying(settings, "passes"))
        style.save(figure, tmp_path / f"{run}.pdf", tmp_path / f"{run}.png")
    for end in ("pdf", "png"):
        assert (tmp_path / f"a.{end}").read_bytes() == (tmp_path / f"b.{end}").read_bytes()
