import numpy as np
import pandas as pd
import pytest

from overtop.config.evaluation import BootstrapSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import bootstrap_seed, draw_cluster_weights
from overtop.evaluation.probabilities import MEASURE_BOUNDS, calibrated_ece, measure_probabilities
from overtop.evaluation.robustness import AVERAGE
from overtop.evaluation.significance import symmetric_interval
from overtop.evaluation.view_calibration import COLUMNS, ViewPredictions, measure_view_calibration

SPEC = BootstrapSpec(resamples=200, level=0.9)


def make_predictions(seed, n_images=50, probabilities=("model", "fitted"), temperature=0.02):
    rng = np.random.default_rng(seed)
    order = rng.permutation(n_images)
    parts = []
    for name in probabilities:
        confidence = rng.uniform(0.3, 1, n_images)
        parts.append(
            pd.DataFrame(
                {
                    "image_id": [f"image{i:03d}" for i in order],
                    "hit": rng.random(n_images) < confidence**2,
                    "probability": name,
                    "temperature": temperature,
                    "confidence": confidence,
                    "uncertainty": -np.log(confidence),
                    "nll": rng.exponential(size=n_images),
                    "brier": rng.uniform(0, 2, n_images),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_rows_are_means_over_the_seeds_with_the_interval_of_the_mean():
    tables = [make_predictions(0, temperature=0.01), make_predictions(1, temperature=0.04)]
    table = measure_view_calibration([ViewPredictions("d", "m", "clean", tables)], SPEC, seed=3, split="test")
    assert list(table.columns) == COLUMNS
    assert table["probability"].tolist() == ["model", "fitted"]
    weights = draw_cluster_weights(50, 200, bootstrap_seed(3, "d", "test"))
    for _, row in table.iterrows():
        ordered = [t[t["probability"] == row["probability"]].sort_values("image_id") for t in tables]
        measured = [measure_probabilities(rows, weights) for rows in ordered]
        for name, bounds in MEASURE_BOUNDS.items():
            values = (measured[0][name] + measured[1][name]) / 2
            assert row[name] == pytest.approx(values[0])
            expected = symmetric_interval(values[0], values[1:], 0.9, bounds)
            np.testing.assert_allclose([row[f"{name}_low"], row[f"{name}_high"]], expected)
        floors = [calibrated_ece(rows["confidence"].to_numpy()) for rows in ordered]
        assert row["ece_calibrated"] == pytest.approx(np.mean(floors))
    assert table["temperature"].tolist() == pytest.approx([0.02, 0.02])
    assert table[["n_seeds", "n_images"]].drop_duplicates().to_numpy().tolist() == [[2, 50]]


def test_average_weighs_data_sets_equally_and_has_a_narrower_interval():
    views = [
        ViewPredictions(dataset, "m", view, [make_predictions(10 * i + j, n_images)])
        for i, (dataset, n_images) in enumerate([("a", 30), ("b", 60), ("c", 45)])
        for j, view in enumerate(["clean", "pgd"])
    ]
    table = measure_view_calibration(iter(views), SPEC, seed=0, split="test")
    assert len(table) == (3 + 1) * 2 * 2
    keys = ["view", "probability"]
    of_datasets = table[table["dataset"] != AVERAGE].groupby(keys)
    average = table[table["dataset"] == AVERAGE].set_index(keys).sort_index()
    assert set(average["n_images"]) == {135}
    for name in (*MEASURE_BOUNDS, "ece_calibrated"):
        np.testing.assert_allclose(average[name], of_datasets[name].mean())
    width = (of_datasets["accuracy_high"].mean() - of_datasets["accuracy_low"].mean()) / 3**0.5
    np.testing.assert_allclose(average["accuracy_high"] - average["accuracy_low"], width, rtol=0.25)


def test_images_with_several_labels_have_no_proper_scores_and_are_not_in_the_average():
    several = make_predictions(1).assign(nll=np.nan, brier=np.nan)
    views = [
        ViewPredictions(name, "m", "clean", [predictions])
        for name, predictions in (("a", make_predictions(0)), ("b", several), ("c", make_predictions(2)))
    ]
    table = measure_view_calibration(views, SPEC, seed=0, split="test").set_index("dataset")
    assert table.loc["b", ["nll", "nll_low", "nll_high", "brier"]].isna().all(axis=None)
    assert table.loc["b", ["accuracy", "ece_mass_low"]].notna().all(axis=None)
    np.testing.assert_allclose(
        table.loc[AVERAGE, "ece_mass"],
        table.loc[["a"], "ece_mass"].to_numpy() / 2 + table.loc[["c"], "ece_mass"].to_numpy() / 2,
    )
    assert set(measure_view_calibration(views[:2], SPEC, seed=0, split="test")["dataset"]) == {"a", "b"}


def test_encoders_that_do_not_match_are_errors():
    first = make_predictions(0)
    others = first[first["image_id"] != "image004"]
    with pytest.raises(OvertopError, match=r"d: m \(pgd\): its encoders predict different images"):
        measure_view_calibration([ViewPredictions("d", "m", "pgd", [first, others])], SPEC, 0, "test")
    fewer = make_predictions(0, probabilities=["model"])
    with pytest.raises(OvertopError, match="only some of its encoders have the probability 'fitted'"):
        measure_view_calibration([ViewPredictions("d", "m", "pgd", [first, fewer])], SPEC, 0, "test")
    with pytest.raises(OvertopError, match="there are no predictions"):
        measure_view_calibration([ViewPredictions("d", "m", "pgd", [first.iloc[:0]])], SPEC, 0, "test")
