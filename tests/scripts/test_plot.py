"""The script end to end: curves and metrics as input, a figure and its numbers as output."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from helpers.synthetic_curves import simulate_run
from overtop.errors import OvertopError
from overtop.storage.tables import read_table, write_table

plot = load_script("plot")

DROPOUT = {"r1": {"rate": 0.1, "passes": 50}, "base": {"rate": 0.2, "passes": 50}, "p9": {"rate": 0.2, "passes": 9}}
SENSITIVITY = {
    "kind": "sensitivity",
    "dataset": "shapes",
    "estimator": "top1_consistency",
    "rates": ["base", "r1"],
    "passes": ["base", "p9"],
}
METHODS = (("mc_dropout", "top1_similarity"), ("mc_dropout", "top1_consistency"))


@pytest.fixture
def make_job(tmp_path):
    """Return a function that makes the job of a figure; each posterior has two estimators and two binnings."""
    inputs = {"calibration": [], "rejection": [], "metrics": []}
    for seed, posterior in enumerate(DROPOUT):
        runs = [
            simulate_run(directions=("t2i",), methods=METHODS, queries=(300,), binning=binning, seed=seed)
            for binning in ("equal_width", "equal_count")
        ]
        frames = [pd.concat(same_table, ignore_index=True) for same_table in zip(*runs, strict=True)]
        tables = dict(zip(inputs, frames, strict=True))
        ends = {f"{name}{end}": 0.5 for name in ("neg_sr2", "aurc") for end in ("_low", "_high")}
        tables["metrics"] = tables["metrics"].assign(aurc=0.5, **ends)
        for name, rows in tables.items():
            path = tmp_path / f"{name}-{posterior}.parquet"
            write_table(path, rows.assign(posterior=posterior, kind="mc_dropout").drop_duplicates())
            inputs[name].append(path)

    def make(spec, curves="calibration"):
        return SimpleNamespace(
            input=SimpleNamespace(curves=inputs[curves], metrics=inputs["metrics"]),
            output=SimpleNamespace(**{end: tmp_path / f"figure.{end}" for end in ("pdf", "png", "csv")}),
            params=SimpleNamespace(spec=spec, values=DROPOUT),
            wildcards=SimpleNamespace(figure="mine"),
        )

    return make


def test_sensitivity_figure_and_its_numbers_are_written(make_job):
    job = make_job(SENSITIVITY)
    plot.main(job)
    numbers = pd.read_csv(job.output.csv)
    assert numbers.groupby("varied", sort=False)["posterior"].unique().map(list).to_dict() == {
        "rate": ["r1", "base"],
        "passes": ["p9", "base"],
    }
    assert set(numbers["estimator"]) == {"top1_consistency"}
    assert set(numbers["binning"]) == {"equal_width"}
    np.testing.assert_allclose(numbers.groupby(["varied", "posterior"])["share"].sum(), 1)
    assert job.output.pdf.read_bytes().startswith(b"%PDF")
    assert job.output.png.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", ["calibration", "rejection"])
def test_figure_of_a_table_shows_the_declared_rows(make_job, kind):
    job = make_job({"kind": kind, "table": "demo", "estimators": ["top1_similarity"]}, curves=kind)
    plot.main(job)
    numbers = pd.read_csv(job.output.csv)
    assert set(numbers["estimator"]) == {"top1_similarity"}
    assert list(numbers["posterior"].unique()) == list(DROPOUT)
    assert job.output.png.read_bytes().startswith(b"\x89PNG")


def test_figure_without_declared_estimators_shows_few_that_do_not_depend_on_the_results(make_job):
    job = make_job({"kind": "rejection", "table": "demo", "posteriors": ["base"]}, curves="rejection")
    plot.main(job)
    numbers = pd.read_csv(job.output.csv)
    assert set(zip(numbers["posterior"], numbers["estimator"], strict=True)) == {("base", "top1_similarity")}


def test_figure_of_a_table_without_the_default_estimators_shows_all(make_job):
    job = make_job({"kind": "rejection", "table": "demo"}, curves="rejection")
    for path in (*job.input.curves, *job.input.metrics):
        rows = read_table(path)
        write_table(path, rows[rows["estimator"] == "top1_consistency"])
    plot.main(job)
    assert set(pd.read_csv(job.output.csv)["estimator"]) == {"top1_consistency"}


def test_cascade_figure_and_its_numbers_are_written(make_job, tmp_path):
    job = make_job({"kind": "cascade", "cascade": "demo"})
    steps = {"fraction": [0.0, 1.0], "samples_per_query": [1.0, 51.0], "aurc": [0.2, 0.1], "change": [0.0, -0.1]}
    curve = pd.DataFrame(steps).assign(change_low=-0.2, change_high=0.0, n_queries=9, direction="t2i", rule="full")
    spent = pd.DataFrame(columns=["direction", "rule", "samples", "share_settled"])
    for name, table in (("curve", curve), ("spent", spent)):
        write_table(tmp_path / f"{name}.csv", table)
    job.input = SimpleNamespace(curve=tmp_path / "curve.csv", spent=tmp_path / "spent.csv")
    plot.main(job)
    assert list(pd.read_csv(job.output.csv)["panel"]) == ["curve", "curve"]
    assert job.output.png.read_bytes().startswith(b"\x89PNG")


def test_thinning_figure_and_its_numbers_are_written(make_job, tmp_path):
    job = make_job({"kind": "thinning", "dataset": "shapes", "posterior": "p"})
    rows = [("sinkhorn", True, size, draw, 0.8) for size in (50, 100) for draw in range(3)]
    table = pd.DataFrame([*rows, ("max_softmax", False, 100, 0, 0.7)])
    table.columns = ["estimator", "transductive", "n_queries", "draw", "auroc"]
    table = table.assign(aurc=0.2, dataset="shapes", posterior="p", direction="t2i")
    write_table(tmp_path / "thinning.csv", table)
    job.input = SimpleNamespace(thinning=tmp_path / "thinning.csv")
    plot.main(job)
    assert list(pd.read_csv(job.output.csv)["n_draws"]) == [3, 3, 1]
    assert job.output.png.read_bytes().startswith(b"\x89PNG")


def test_estimator_that_was_not_scored_is_rejected_with_the_name_of_the_figure(make_job):
    job = make_job(SENSITIVITY | {"estimator": "adversarial_pgd"})
    with pytest.raises(OvertopError, match=r"figures\.mine: no rows"):
        plot.main(job)
