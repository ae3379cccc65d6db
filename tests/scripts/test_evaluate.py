"""The script end to end: the score table of one posterior as input, metrics and curves as output."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.config.evaluation import EvaluationSpec
from overtop.evaluation.bootstrap import bootstrap_seed
from overtop.evaluation.metrics import evaluate as evaluate_scores
from overtop.storage.tables import write_table

evaluate = load_script("evaluate")

SPEC = EvaluationSpec.model_validate({"bootstrap": {"resamples": 100}})


def make_scores():
    """Return a random score table of one estimator."""
    rng = np.random.default_rng(0)
    hit = rng.random(40) < 0.6
    return pd.DataFrame(
        {
            "query_id": [f"q{i}" for i in range(40)],
            "image_id": [f"i{i}" for i in range(40)],
            "direction": "i2t",
            "estimator": "top1_similarity",
            "protocol": "corrected",
            "uncertainty": rng.random(40) - 0.3 * hit,
            "hit": hit,
            "hit_extended": pd.array([pd.NA] * 40, dtype="boolean"),
            "rank": np.where(hit, 1, 7),
            "rank_extended": np.nan,
            "tied": False,
            "absent": False,
        }
    )


def run_script(folder, encoders):
    """Run the script and return its outputs by name."""
    provenance = {"encoders": encoders, "n_skipped": 2, "n_truncated": 3}
    write_table(folder / "scores.parquet", make_scores(), {"provenance": json.dumps(provenance)})
    outputs = {name: folder / f"{name}.parquet" for name in ("metrics", "calibration", "rejection")}
    evaluate.main(
        SimpleNamespace(
            input=[folder / "scores.parquet"],
            output=SimpleNamespace(**outputs),
            params=SimpleNamespace(seed=0, spec=SPEC.model_dump(mode="json"), kind="ensemble"),
            wildcards=SimpleNamespace(dataset="mscoco", split="test", posterior="p"),
            threads=1,
        )
    )
    return {name: pd.read_parquet(path) for name, path in outputs.items()}


@pytest.mark.parametrize(
    ("encoders", "architecture", "members"),
    [
        ([{"name": "l14", "architecture": "ViT-L-14-quickgelu"}], "ViT-L-14", "l14"),
        ([{"name": f"m{i}", "architecture": f"ViT-{i}"} for i in (1, 2)], "ViT-1+ViT-2", "m1, m2"),
        ([{"name": "imported"}], "", "imported"),
    ],
)
def test_tables_have_the_architecture_and_members_of_the_posterior(tmp_path, encoders, architecture, members):
    tables = run_script(tmp_path, encoders)
    for table in tables.values():
        assert (table["architecture"] == architecture).all()
        assert (table["kind"] == "ensemble").all()
    assert (tables["metrics"]["members"] == members).all()
    assert (tables["metrics"][["n_skipped", "n_truncated"]] == [2, 3]).all(axis=None)


def test_metrics_are_those_of_the_library(tmp_path):
    metrics = run_script(tmp_path, [{"name": "imported"}])["metrics"]
    expected = evaluate_scores(make_scores(), SPEC, bootstrap_seed(0, "mscoco", "test")).metrics
    pd.testing.assert_frame_equal(metrics[list(expected)], expected, check_exact=True)
