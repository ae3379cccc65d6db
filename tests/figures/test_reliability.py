import numpy as np
import pandas as pd
import pytest

from helpers.axes import legend_texts, line_points
from overtop.errors import OvertopError
from overtop.evaluation.probabilities import ECE_BINS, measure_probabilities
from overtop.figures.reliability import plot_reliability, reliability_figure, reliability_numbers


def make_predictions(
    n_images=300, models=("Undefended", "UCAT"), views=("clean", "pgd"), probabilities=("fitted", "model")
):
    rng = np.random.default_rng(0)
    parts = []
    for model in models:
        for view in views:
            for seed in range(2):
                for probability in probabilities:
                    confidence = rng.uniform(0.35, 1, n_images)
                    columns = {
                        "hit": rng.random(n_images) < confidence * (1 if view == "clean" else 0.5),
                        "confidence": confidence,
                        "uncertainty": -np.log(confidence),
                        "nll": 0.5,
                        "brier": 0.5,
                    }
                    names = {"dataset": "shapes", "model": model, "view": view, "encoder": f"{model}-{seed}"}
                    parts.append(pd.DataFrame(columns).assign(probability=probability, **names))
    return pd.concat(parts, ignore_index=True)


def select(frame, **values):
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame


def test_numbers_are_bins_of_all_seeds_and_the_mean_of_their_errors():
    predictions = make_predictions()
    numbers = reliability_numbers(predictions)
    assert len(numbers) == 2 * 2 * 2 * ECE_BINS
    key = {"model": "UCAT", "view": "pgd", "probability": "model"}
    rows, bins = select(predictions, **key), select(numbers, **key)
    assert bins["n_images"].sum() == 600
    assert bins["share"].sum() == pytest.approx(1)
    inside = rows[(rows["confidence"] > 12 / 15) & (rows["confidence"] <= 13 / 15)]
    bin_12 = bins.iloc[12]
    assert bin_12[["n_images", "accuracy", "confidence"]].tolist() == pytest.approx(
        [len(inside), inside["hit"].mean(), inside["confidence"].mean()]
    )
    errors = [measure_probabilities(of_seed)["ece_width"][0] for _, of_seed in rows.groupby("encoder")]
    np.testing.assert_allclose(bins["ece"], np.mean(errors))


def test_diagram_shows_filled_bins_and_the_histogram_all_of_them():
    numbers = select(reliability_numbers(make_predictions(models=("UCAT",))), view="clean", probability="model")
    diagram, histogram = plot_reliability(numbers)
    filled = numbers[numbers["n_images"] > 0]
    assert len(filled) < ECE_BINS
    expected = set(zip(filled["confidence"], filled["accuracy"], strict=True))
    assert line_points(diagram.lines) == expected | {(0, 0), (1, 1)}
    (stairs,) = histogram.patches
    np.testing.assert_allclose(stairs.get_data().values, numbers["share"])
    assert legend_texts(histogram) == ["Perfect calibration", f"UCAT [{numbers['ece'].iloc[0]:.3f}]"]


def test_bins_with_few_images_are_faint():
    numbers = select(
        reliability_numbers(make_predictions(n_images=40, models=("UCAT",))), view="clean", probability="model"
    )
    assert (numbers["n_images"] < 20).any()
    diagram, _ = plot_reliability(numbers)
    assert any(line.get_alpha() for line in diagram.lines)


def test_figure_has_clean_beside_attacked_and_a_row_per_probability():
    figure = reliability_figure(reliability_numbers(make_predictions()))
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    assert titles == [
        "Clean\nSoftmax at the model's own temperature",
        "Under pgd\nSoftmax at the model's own temperature",
        "Clean\nSoftmax at the fitted temperature",
        "Under pgd\nSoftmax at the fitted temperature",
    ]
    assert len(figure.axes) == 8
    colours = [{line.get_color() for line in ax.lines} for ax in figure.axes if ax.get_title(loc="left")]
    assert all(of_panel == colours[0] for of_panel in colours)


def test_rows_of_several_diagrams_are_refused():
    numbers = reliability_numbers(make_predictions())
    with pytest.raises(OvertopError, match="a reliability diagram shows one value, not clean, pgd"):
        plot_reliability(select(numbers, probability="model"))
    with pytest.raises(OvertopError, match="a reliability figure shows one value"):
        reliability_figure(pd.concat([numbers, numbers.assign(dataset="other")]))
    with pytest.raises(OvertopError, match="no column encoder"):
        reliability_numbers(make_predictions().drop(columns="encoder"))
