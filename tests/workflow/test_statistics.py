"""What goes beyond the table: adapters, fitted temperatures, operating points, cascades, on a tiny world."""

import json

import numpy as np
import pandas as pd
import pytest

from helpers.pipeline import TINY
from overtop.estimators.registry import ESTIMATORS

pytestmark = pytest.mark.slow

SPLITS = ("val", "test")


@pytest.fixture
def more(tiny, copy_of):
    return copy_of(tiny)


def test_an_adapter_is_trained_and_scored(more):
    more.run("results/tables/adapted.csv", *TINY)
    table = pd.read_csv(more.root / "results/tables/adapted.csv")
    expected = {name for name, record in ESTIMATORS.items() if "votes" not in record.needs}
    assert set(table["estimator"]) == expected
    scores = pd.read_parquet(more.root / "results/scores/shapes/test/adapted.parquet")
    spread = scores[scores["estimator"] == "probvlm"]
    assert (spread["uncertainty"] > 0).all()
    assert spread.groupby(["direction", "protocol"])["uncertainty"].nunique().min() > 10
    assert more.planned("results/tables/adapted.csv", *TINY) == {}
    again = more.planned("results/tables/adapted.csv", *TINY, "--config", "adapters={tiny: {epochs: 2}}")
    assert set(again) == {"adapt", "spread", "score", "evaluate", "tabulate"}


def test_a_posterior_without_an_adapter_says_so(tiny):
    run = tiny.run("results/spread/shapes/test/tiny.h5", *TINY, "--dry-run", check=False)
    assert "posteriors.tiny has no adapter; add `adapter: NAME`" in run.stdout + run.stderr


def test_operating_points_cascade_and_its_figure(more):
    targets = (
        "results/operating/shapes/test/tiny-dropout.csv",
        "results/cascades/tiny/votes.csv",
        "results/figures/tiny-cascade.pdf",
    )
    more.run(*targets, *TINY)
    points = pd.read_csv(more.root / targets[0])
    assert set(points["form"]) == {"guaranteed_precision", "conformal_set"}
    assert set(points["direction"]) == {"t2i", "i2t"}
    assert points["coverage"].dropna().between(0, 1).all()
    votes = pd.read_csv(more.root / targets[1])
    assert (votes["mean_samples"] <= 4).all()
    curve = pd.read_csv(more.root / "results/cascades/tiny/curve.csv")
    assert set(curve["rule"]) >= {"full", "random", "certain"}
    first = curve[(curve["rule"] == "full") & (curve["fraction"] == 0)]
    np.testing.assert_allclose(first["samples_per_query"], 1)
    assert (more.root / targets[2]).read_bytes().startswith(b"%PDF")
    assert more.planned(*targets, *TINY) == {}


def test_fitted_temperatures_reach_the_scores(tmp_path, fresh):
    """Embeddings whose captions are noisy copies of their images: the likeliest temperature is neither end's."""
    rng = np.random.default_rng(0)
    for split, n in (("val", 60), ("test", 40)):
        image = rng.normal(size=(n, 16))
        np.savez(tmp_path / f"{split}.npz", image=image, text=image + rng.normal(size=(n, 16)))
    config = {
        "temperature": {"softmax": "fitted"},
        "datasets": {"planted": {"kind": "embeddings", "splits": {s: str(tmp_path / f"{s}.npz") for s in SPLITS}}},
    }
    (fresh.root / "planted.json").write_text(json.dumps(config))
    scores = "results/scores/planted/test/imported.parquet"
    fresh.run(scores, "--configfile", "planted.json")
    found = json.loads((fresh.root / "results/temperatures/planted/val/imported.json").read_text())
    assert set(found) == {"t2i", "i2t"}
    for fit in found.values():
        assert 0.01 < fit["temperature"] < 0.4
        assert np.isfinite(fit["nll"])
        assert fit["n_queries"] == 60
    assert fresh.planned(scores, "--configfile", "planted.json") == {}
    uncertainty = pd.read_parquet(fresh.root / scores).set_index("estimator")["uncertainty"]
    fresh.run(scores, "--configfile", "planted.json", "--config", "temperature={softmax: 0.01}")
    fixed = pd.read_parquet(fresh.root / scores).set_index("estimator")["uncertainty"]
    assert not np.allclose(uncertainty["max_softmax"], fixed["max_softmax"])
    np.testing.assert_array_equal(uncertainty["top1_similarity"], fixed["top1_similarity"])


def test_a_temperature_that_cannot_be_fitted_says_so(more):
    """A tiny world is hardly learned: its likelihood has no maximum, and no number is made up for it."""
    run = more.run(
        "results/scores/shapes/test/tiny.parquet", *TINY, "--config", "temperature={softmax: fitted}", check=False
    )
    assert run.returncode != 0
    assert "set temperature.softmax to a number" in run.stdout + run.stderr
    assert not (more.root / "results/temperatures/shapes/val/tiny.json").exists()
