"""Embeddings of real photographs and captions, through the whole pipeline after the encoder."""

import json

import numpy as np
import pandas as pd
import pytest

from helpers.pipeline import copy_project

pytestmark = pytest.mark.slow

RELEASED = {
    "top1_similarity": "top1similarity",
    "top1_consistency": "top1consistency",
    "topk_consistency": "top5consistency",
    "adversarial_linear": "adversarial_lin",
    "adversarial_pgd": "adversarial",
}


def test_published_protocol_equals_released_code(fresh, mirror):
    """The whole pipeline on the inputs of the released code: S, R2, -S.R2 and confidences to 1e-5."""
    config = {"golden": {"kind": "embeddings", "splits": {"test": "golden/flickr8k_b32_noisy8_inputs.npz"}}}
    tables = {"golden": {"datasets": ["golden"], "posteriors": ["imported"], "positives": ["labelled"]}}
    overrides = (f"mirror={mirror}", f"datasets={json.dumps(config)}", f"tables={json.dumps(tables)}")
    fresh.run("results/tables/golden.csv", "--config", *overrides)
    expected = np.load(mirror / "golden" / "flickr8k_b32_noisy8_expected.npz")
    table = pd.read_csv(fresh.root / "results/tables/golden.csv")
    table = table[(table["protocol"] == "published") & (table["binning"] == "equal_width")]
    scores = pd.read_parquet(fresh.root / "results/scores/golden/test/imported.parquet")
    scores = scores[scores["protocol"] == "published"].set_index(["estimator", "direction"])
    for estimator, released in RELEASED.items():
        for direction in ("t2i", "i2t"):
            row = table[(table["estimator"] == estimator) & (table["direction"] == direction)]
            measured = row[["spearman", "r2", "neg_sr2"]].to_numpy()[0]
            np.testing.assert_allclose(measured, expected[f"{released}/{direction}_S_R2"], rtol=0, atol=1e-5)
            confidence = 1 - scores.loc[(estimator, direction), "uncertainty"].to_numpy()
            np.testing.assert_allclose(confidence, expected[f"{released}/{direction}_confidence"], rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def imported(repo, mirror, tmp_path_factory):
    """The table and figures of the imported CLIP embeddings."""
    project = copy_project(repo, tmp_path_factory.mktemp("imported"))
    figures = (f"results/figures/imported-{name}" for name in ("calibration.pdf", "rejection.pdf", "bank.png"))
    project.run("results/tables/imported.csv", *figures, "--config", f"mirror={mirror}")
    return project


def test_imported_clip_embeddings_have_published_recall(imported):
    """R@1 of OpenAI's ViT-B/32, as reported with the file."""
    table = pd.read_csv(imported.root / "results/tables/imported.csv")
    table = table.drop_duplicates("direction").set_index("direction")
    assert table.loc["i2t", "recall_at_1"] == pytest.approx(0.550, abs=5e-4)
    assert table.loc["t2i", "recall_at_1"] == pytest.approx(0.527, abs=5e-4)


@pytest.mark.parametrize(
    ("direction", "estimator", "auroc", "reranked"),
    [
        ("t2i", "bank_softmax", 0.878, 0.586),
        ("t2i", "bank_nnn", 0.884, 0.598),
        ("i2t", "bank_softmax", 0.868, 0.614),
        ("i2t", "bank_nnn", 0.873, 0.620),
    ],
)
def test_bank_estimators_on_clip_embeddings_have_the_measured_auroc(imported, direction, estimator, auroc, reranked):
    """Numbers of a dense float64 computation of both formulas on the same embeddings."""
    table = pd.read_csv(imported.root / "results/tables/imported.csv")
    rows = table.query(f"direction == '{direction}' and estimator == '{estimator}'")
    assert set(rows["protocol"]) == {"corrected"}
    assert set(rows["bank"]) == {"flickr8k-clip/val"}
    np.testing.assert_allclose(rows["auroc"], auroc, atol=5e-4)
    np.testing.assert_allclose(rows["reranked_recall_at_1"], reranked, atol=5e-4)
    figure = pd.read_csv(imported.root / "results/figures/imported-bank.csv")
    whole = figure.query(f"direction == '{direction}' and estimator == '{estimator}' and value == 'bank'")
    np.testing.assert_allclose(whole["auroc"], rows["auroc"].iloc[0], atol=1e-5)


def test_flickr8k_split_has_declared_counts(fresh, mirror):
    fresh.run("data/splits/flickr8k/test.parquet", "--config", f"mirror={mirror}")
    split = pd.read_parquet(fresh.root / "data/splits/flickr8k/test.parquet")
    assert (split["image_id"].nunique(), len(split)) == (1000, 5000)
    record = json.loads((fresh.root / "data/sources/flickr8k/test.json").read_text())
    assert len(record["files"]) == 1003
