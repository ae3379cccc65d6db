"""Adapters, fitted temperatures, operating points and cascades on the tiny run."""

import json

import numpy as np
import pandas as pd
import pytest

from helpers.pipeline import TINY_CONFIG, read_committed_config
from overtop.estimators.registry import REGISTRY
from overtop.storage.json_files import read_json

pytestmark = pytest.mark.slow

SPLITS = ("val", "test")


@pytest.fixture
def project(tiny, copy_of):
    return copy_of(tiny)


def test_adapter_is_trained_and_scored(project):
    project.run("results/tables/adapted.csv", *TINY_CONFIG)
    table = pd.read_csv(project.root / "results/tables/adapted.csv")
    configured = read_committed_config(project.root)["estimators"]
    expected = {name for name in configured if not REGISTRY[name].needs & {"samples", "bank"}}
    assert set(table["estimator"]) == expected
    scores = pd.read_parquet(project.root / "results/scores/shapes/test/adapted.parquet")
    spread = scores[scores["estimator"] == "probvlm"]
    assert (spread["uncertainty"] > 0).all()
    assert spread.groupby(["direction", "protocol"])["uncertainty"].nunique().min() > 10
    assert project.planned_jobs("results/tables/adapted.csv", *TINY_CONFIG) == {}
    rerun = project.planned_jobs("results/tables/adapted.csv", *TINY_CONFIG, "--config", "adapters={tiny: {epochs: 2}}")
    assert set(rerun) == {"adapt", "spread", "score", "evaluate", "table"}


def test_posterior_without_adapter_is_an_error(tiny):
    run = tiny.run("results/spread/shapes/test/tiny.h5", *TINY_CONFIG, "--dry-run", check=False)
    assert "posteriors.tiny has no adapter; add `adapter: NAME`" in run.stdout + run.stderr


def test_operating_points_and_cascade_have_expected_rows(project):
    targets = (
        "results/operating/shapes/test/tiny-dropout.csv",
        "results/cascades/tiny/votes.csv",
        "results/figures/tiny-cascade.pdf",
    )
    project.run(*targets, *TINY_CONFIG)
    points = pd.read_csv(project.root / targets[0])
    assert set(points["form"]) == {"guaranteed_precision", "conformal_set"}
    assert set(points["direction"]) == {"t2i", "i2t"}
    assert points["coverage"].dropna().between(0, 1).all()
    votes = pd.read_csv(project.root / targets[1])
    assert (votes["mean_samples"] <= 4).all()
    curve = pd.read_csv(project.root / "results/cascades/tiny/curve.csv")
    assert set(curve["rule"]) >= {"full", "random", "certain"}
    first = curve[(curve["rule"] == "full") & (curve["fraction"] == 0)]
    np.testing.assert_allclose(first["samples_per_query"], 1)
    assert (project.root / targets[2]).read_bytes().startswith(b"%PDF")
    assert project.planned_jobs(*targets, *TINY_CONFIG) == {}


def test_transfer_study_is_measured_on_every_data_set_and_drawn(project):
    targets = ("results/transfers/tiny.csv", "results/figures/tiny-confidence.pdf")
    project.run(*targets, *TINY_CONFIG)
    table = pd.read_csv(project.root / targets[0])
    assert set(table["dataset"]) == {"shapes", "shapes-absent"}
    assert set(table["estimator"]) == {"top1_similarity", "max_softmax"}
    assert (table["gallery"] < table["gallery"].max()).any()
    thresholds = pd.read_csv(project.root / "results/transfers/tiny-thresholds.csv")
    assert len(thresholds) == 3 * len(table[table["fit"] == "labelled"])
    assert "Left out: bank" in (project.root / "results/transfers/tiny.md").read_text()
    assert (project.root / targets[1]).read_bytes().startswith(b"%PDF")
    assert project.planned_jobs(*targets, *TINY_CONFIG) == {}


def test_fitted_temperature_changes_softmax_scores_only(tmp_path, fresh):
    """Captions are noisy copies of their images, so the fitted temperature is inside the grid."""
    rng = np.random.default_rng(0)
    for split, n in (("val", 60), ("test", 40)):
        image = rng.normal(size=(n, 16))
        np.savez(tmp_path / f"{split}.npz", image=image, text=image + rng.normal(size=(n, 16)))
    config = {
        "temperature": {"softmax": "fitted"},
        "datasets": {
            "planted": {"kind": "embeddings", "splits": {s: str(tmp_path / f"{s}.npz") for s in SPLITS}},
            "planted-absent": {"kind": "variant", "of": "planted", "absent": 0.25},
        },
    }
    (fresh.root / "planted.json").write_text(json.dumps(config))
    scores = "results/scores/planted/test/imported.parquet"
    fresh.run(scores, "--configfile", "planted.json")
    fits = read_json(fresh.root / "results/temperatures/planted/val/imported.json")
    assert set(fits) == {"t2i", "i2t"}
    for fit in fits.values():
        assert 0.01 < fit["temperature"] < 0.4
        assert np.isfinite(fit["nll"])
        assert fit["n_queries"] == 60
    assert fresh.planned_jobs(scores, "--configfile", "planted.json") == {}
    _check_variant_of_planted_data(fresh)
    uncertainty = pd.read_parquet(fresh.root / scores).set_index("estimator")["uncertainty"]
    fresh.run(scores, "--configfile", "planted.json", "--config", "temperature={softmax: 0.01}")
    fixed = pd.read_parquet(fresh.root / scores).set_index("estimator")["uncertainty"]
    assert not np.allclose(uncertainty["max_softmax"], fixed["max_softmax"])
    np.testing.assert_array_equal(uncertainty["top1_similarity"], fixed["top1_similarity"])


def _check_variant_of_planted_data(project):
    """Files, embeddings and temperatures are those of the base."""
    metrics = "results/metrics/planted-absent/test/imported.parquet"
    planned = project.planned_jobs(metrics, "--configfile", "planted.json")
    assert planned == dict.fromkeys(("split", "rank", "radius", "score", "evaluate"), 1)
    project.run(metrics, "--configfile", "planted.json")
    table = pd.read_parquet(project.root / metrics)
    assert (set(table["n_queries"]), set(table["n_absent"]), set(table["absent"])) == ({40}, {10}, {0.25})
    assert (table["recall_at_1"] <= 0.75).all()
    embedded = "results/embeddings/planted-absent/test/imported/samples/image-0of1.h5"
    run = project.run(embedded, "--configfile", "planted.json", "--dry-run", check=False)
    assert "datasets.planted-absent is a variant" in run.stdout + run.stderr


def test_temperature_without_maximum_is_an_error(project):
    """The tiny encoder is hardly trained: its likelihood has no maximum inside the grid."""
    run = project.run(
        "results/scores/shapes/test/tiny.parquet",
        *TINY_CONFIG,
        "--config",
        "temperature={softmax: fitted}",
        check=False,
    )
    assert run.returncode != 0
    assert "set temperature.softmax to a number" in run.stdout + run.stderr
    assert not (project.root / "results/temperatures/shapes/val/tiny.json").exists()
