"""The script end to end: predictions of a study as input, a table in two forms as output."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.config.evaluation import BootstrapSpec
from overtop.errors import OvertopError
from overtop.evaluation.rounding import round_floats
from overtop.evaluation.view_calibration import ViewPredictions, measure_view_calibration
from overtop.storage.tables import write_table

view_calibration, plot = load_script("view_calibration"), load_script("plot")

SPEC = BootstrapSpec(resamples=100)


def make_predictions(seed, n_images=40):
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.3, 1, n_images)
    columns = {
        "image_id": [f"i{i}" for i in range(n_images)],
        "hit": rng.random(n_images) < confidence,
        "top1_id": "0",
        "probability": "model",
        "temperature": 0.01,
        "confidence": confidence,
        "uncertainty": -np.log(confidence),
        "nll": rng.exponential(size=n_images),
        "brier": rng.random(n_images),
        "entropy": rng.random(n_images),
    }
    return pd.DataFrame(columns)


@pytest.fixture
def study(tmp_path):
    """Views of two data sets, two models of two seeds each, and a file of predictions for every one of them."""
    views = [
        {"dataset": dataset, "model": model, "view": view, "encoder": f"{model}-{seed}"}
        for dataset in ("a", "b")
        for model in ("CLIP", "UCAT")
        for view in ("clean", "pgd")
        for seed in range(2)
    ]
    tables = [make_predictions(number) for number in range(len(views))]
    files = [tmp_path / f"{number}.parquet" for number in range(len(views))]
    for file, table in zip(files, tables, strict=True):
        write_table(file, table)
    return views, tables, files


def test_table_is_that_of_the_library(tmp_path, study):
    views, tables, files = study
    job = SimpleNamespace(
        input=SimpleNamespace(predictions=files),
        output=SimpleNamespace(csv=tmp_path / "table.csv", md=tmp_path / "table.md"),
        params=SimpleNamespace(split="test", views=views, bootstrap=SPEC.model_dump(mode="json"), seed=5),
    )
    view_calibration.main(job)
    groups = [
        ViewPredictions(v["dataset"], v["model"], v["view"], tables[i : i + 2])
        for i, v in enumerate(views)
        if v["encoder"].endswith("0")
    ]
    expected = round_floats(measure_view_calibration(groups, SPEC, 5, "test"))
    pd.testing.assert_frame_equal(pd.read_csv(job.output.csv), expected)
    assert job.output.md.read_text().count("| UCAT | pgd |") == 3


@pytest.mark.parametrize("probabilities", [["model", "fitted"], ["dirichlet"]])
def test_reliability_figure_is_drawn_from_predictions(tmp_path, study, probabilities):
    views, _, files = study
    chosen = [number for number, view in enumerate(views) if view["dataset"] == "a"]
    job = SimpleNamespace(
        input=SimpleNamespace(predictions=[files[number] for number in chosen]),
        output=SimpleNamespace(**{end: tmp_path / f"figure.{end}" for end in ("pdf", "png", "csv")}),
        params=SimpleNamespace(
            spec={
                "kind": "reliability",
                "robustness": "s",
                "dataset": "a",
                "attack": "pgd",
                "probabilities": probabilities,
            },
            values=[views[number] for number in chosen],
        ),
        wildcards=SimpleNamespace(figure="mine"),
    )
    if probabilities == ["dirichlet"]:
        with pytest.raises(OvertopError, match=r"figures\.mine\.probabilities: the predictions have only model"):
            plot.main(job)
        return
    plot.main(job)
    numbers = pd.read_csv(job.output.csv)
    assert numbers[["model", "view"]].drop_duplicates().to_numpy().tolist() == [
        ["CLIP", "clean"], ["CLIP", "pgd"], ["UCAT", "clean"], ["UCAT", "pgd"],
    ]  # fmt: skip
    assert numbers.groupby(["model", "view"])["n_images"].sum().tolist() == [80] * 4
    assert job.output.png.read_bytes().startswith(b"\x89PNG")
