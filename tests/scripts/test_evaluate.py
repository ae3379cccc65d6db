"""The script: what is known of the encoders stands beside what was measured."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.config.evaluation import EvaluationSpec
from overtop.storage.files import write_table

script = load_script("evaluate")


@pytest.mark.parametrize(
    ("encoders", "architecture", "members"),
    [
        ([{"name": "l14", "architecture": "ViT-L-14-quickgelu"}], "ViT-L-14", "l14"),
        ([{"name": f"m{i}", "architecture": f"ViT-{i}"} for i in (1, 2)], "ViT-1+ViT-2", "m1, m2"),
        ([{"name": "imported"}], "", "imported"),
    ],
)
def test_architecture_and_members_of_a_posterior(tmp_path, encoders, architecture, members):
    rng = np.random.default_rng(0)
    hit = rng.random(40) < 0.6
    scores = pd.DataFrame(
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
        }
    )
    provenance = {"encoders": encoders, "n_skipped": 2, "n_truncated": 3}
    write_table(tmp_path / "scores.parquet", scores, {"provenance": json.dumps(provenance)})
    outputs = {name: tmp_path / f"{name}.parquet" for name in ("metrics", "calibration", "rejection")}
    spec = EvaluationSpec.model_validate({"bootstrap": {"resamples": 100}})
    script.main(
        SimpleNamespace(
            input=[tmp_path / "scores.parquet"],
            output=SimpleNamespace(**outputs),
            params=SimpleNamespace(seed=0, spec=spec.model_dump(mode="json"), kind="ensemble"),
            wildcards=SimpleNamespace(dataset="mscoco", split="test", posterior="p"),
            threads=1,
        )
    )
    found = {name: pd.read_parquet(path) for name, path in outputs.items()}
    for frame in found.values():
        assert (frame["architecture"] == architecture).all()
        assert (frame["kind"] == "ensemble").all()
    assert (found["metrics"]["members"] == members).all()
    assert (found["metrics"][["n_skipped", "n_truncated"]] == [2, 3]).all(axis=None)
