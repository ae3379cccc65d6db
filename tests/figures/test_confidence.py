import numpy as np
import pandas as pd
import pytest

from helpers.axes import legend_texts, line_points
from overtop.confidence.hit_probabilities import DIAGRAM_BINS, coverage_curve, hit_predictions, reliability_bins
from overtop.config.figures import ConfidenceFigure
from overtop.errors import OvertopError
from overtop.figures.confidence import confidence_figure, confidence_numbers, plot_confidence
from overtop.figures.draw import draw_confidence


def make_bins(
    n=600, datasets=("photos", "photos-absent"), directions=("i2t", "t2i"), estimators=("max_softmax", "margin")
):
    rng = np.random.default_rng(0)
    parts = []
    for dataset in datasets:
        for direction in directions:
            for estimator in estimators:
                for fit in ("labelled", "unlabelled"):
                    p = rng.beta(1.2, 0.8, n)
                    predictions = hit_predictions(p, rng.random(n) < p)
                    points = reliability_bins(predictions, 0.95).assign(curve="reliability")
                    bins = pd.concat([points, coverage_curve(predictions).assign(curve="coverage")])
                    names = {"dataset": dataset, "direction": direction, "estimator": estimator, "fit": fit}
                    parts.append(bins.assign(**names, split="test", ece=0.0412, ece_calibrated=0.0321, level=0.95))
    return pd.concat(parts, ignore_index=True)


def select(frame, **values):
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame


def test_diagram_shows_the_bins_of_the_fitted_model_with_intervals():
    numbers = confidence_numbers(make_bins(datasets=("photos",)))
    shown = select(numbers, direction="t2i", estimator="margin")
    assert set(shown["fit"]) == {"labelled"}
    diagram, coverage = plot_confidence(shown)
    points = select(shown, curve="reliability")
    assert len(points) == DIAGRAM_BINS
    expected = set(zip(points["p_right"], points["accuracy"], strict=True))
    assert line_points(diagram.lines) == expected | {(0, 0), (1, 1)}
    segments = diagram.collections[0].get_segments()
    ends = {tuple(np.concatenate(segment)) for segment in segments}
    assert ends == set(
        zip(points["p_right"], points["accuracy_low"], points["p_right"], points["accuracy_high"], strict=True)
    )
    [line] = coverage.lines
    np.testing.assert_allclose(line.get_ydata(), select(shown, curve="coverage")["coverage"])
    assert legend_texts(coverage) == ["Perfect calibration", "Photos [0.041; 0.032]"]


def test_figure_has_a_row_per_estimator_and_a_column_per_direction():
    figure = confidence_figure(confidence_numbers(make_bins()))
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    assert titles == [
        "Text to image\nMargin",
        "Image to text\nMargin",
        "Text to image\nMax softmax",
        "Image to text\nMax softmax",
    ]
    styles = [
        {(line.get_color(), line.get_marker()) for line in ax.lines} for ax in figure.axes if ax.get_title(loc="left")
    ]
    assert all(of_panel == styles[0] for of_panel in styles)
    assert len(styles[0]) == 3  # two data sets and the diagonal


def test_bins_with_few_queries_are_faint_and_without_interval():
    numbers = confidence_numbers(make_bins(n=150, datasets=("photos",)))
    diagram, _ = plot_confidence(select(numbers, direction="t2i", estimator="margin"))
    assert any(line.get_alpha() for line in diagram.lines)
    assert diagram.collections[0].get_segments() == []


def test_declared_figure_shows_the_named_estimators():
    spec = ConfidenceFigure(kind="confidence", transfer="study", estimators=["margin"])
    numbers, figure = draw_confidence(spec, make_bins(), "figures.x")
    assert set(numbers["estimator"]) == {"margin"}
    assert len(figure.axes) == 4


def test_missing_estimators_and_several_panels_are_errors():
    with pytest.raises(OvertopError, match=r"figures\.x\.estimators: the study has models of max_softmax, margin only"):
        confidence_numbers(make_bins(), ["entropy"], "figures.x")
    with pytest.raises(OvertopError, match="a reliability diagram shows one value, not i2t, t2i"):
        plot_confidence(confidence_numbers(make_bins()))
    with pytest.raises(OvertopError, match="no column ece_calibrated"):
        confidence_numbers(make_bins().drop(columns="ece_calibrated"))
