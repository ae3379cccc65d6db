"""The script end to end: score tables of two data sets as input, the table of differences as output."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.config.evaluation import EvaluationSpec
from overtop.evaluation.bootstrap import bootstrap_seed
from overtop.evaluation.comparison import COLUMNS, compare_methods
from overtop.evaluation.rounding import round_floats
from overtop.reference.paper import read_paper_table
from overtop.storage.tables import write_table

compare = load_script("compare")

SPEC = EvaluationSpec.model_validate({"bootstrap": {"resamples": 300}})
KINDS = {"l14": "deterministic", "l14-dropout": "mc_dropout"}
ESTIMATORS = {"l14": ["top1_similarity", "adversarial_pgd", "margin"], "l14-dropout": ["top1_consistency"]}


def make_scores(posterior, images):
    """Return a random score table of one posterior in both directions."""
    rng = np.random.default_rng(len(posterior))
    frames = []
    for direction, captions in (("t2i", 3), ("i2t", 1)):
        image = np.repeat(np.arange(images), captions)
        difficulty = np.random.default_rng(0).normal(size=images)[image]
        queries = pd.DataFrame(
            {
                "query_id": [f"{direction}{i}" for i in range(len(image))],
                "image_id": [f"i{i}" for i in image],
                "direction": direction,
                "hit": difficulty + np.random.default_rng(1).normal(size=len(image)) < 0.3,
            }
        )
        for estimator in ESTIMATORS[posterior]:
            uncertainty = difficulty + 0.5 * rng.normal(size=len(image))
            for protocol in ("published", "corrected"):
                frames.append(queries.assign(estimator=estimator, protocol=protocol, uncertainty=uncertainty))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture
def job(tmp_path):
    encoder = {"name": "openai", "architecture": "ViT-L-14-quickgelu"}
    paths, sources = [], []
    for dataset, images in (("mscoco", 60), ("shapes", 30)):
        for posterior, kind in KINDS.items():
            paths.append(str(tmp_path / f"{dataset}-{posterior}.parquet"))
            sources.append({"dataset": dataset, "posterior": posterior, "kind": kind})
            provenance = json.dumps({"encoders": [encoder, encoder]})
            write_table(paths[-1], make_scores(posterior, images), {"provenance": provenance})
    table = {"datasets": ["mscoco", "shapes"], "posteriors": list(KINDS), "reference": "table1"}
    return SimpleNamespace(
        input=SimpleNamespace(scores=paths),
        output=SimpleNamespace(csv=tmp_path / "differences.csv", md=tmp_path / "differences.md"),
        params=SimpleNamespace(
            spec=table | {"protocols": ["corrected"]},
            evaluation=SPEC.model_dump(mode="json"),
            seed=1,
            benchmarks={"mscoco": "coco", "shapes": None},
            sources=sources,
        ),
        threads=1,
    )


def test_csv_has_the_differences_of_each_data_set(job):
    compare.main(job)
    table = pd.read_csv(job.output.csv)
    assert list(table) == COLUMNS
    assert list(table["dataset"].unique()) == ["mscoco", "shapes"]
    assert set(table["protocol"]) == {"corrected"}
    in_paper = (table["dataset"] == "mscoco") & (table["measure"] == "neg_sr2")
    assert (table["paper_difference"].notna() == in_paper).all()
    assert set(table["first_architecture"]) == {"ViT-L-14"}
    scores = pd.concat(
        [make_scores(p, 60).assign(posterior=p, kind=kind, architecture="ViT-L-14") for p, kind in KINDS.items()],
        ignore_index=True,
    )
    seed = bootstrap_seed(1, "mscoco", "test")
    paper = read_paper_table("table1")
    expected = round_floats(compare_methods(scores[scores["protocol"] == "corrected"], SPEC, seed, paper, "coco"))
    rows = table[table["dataset"] == "mscoco"].drop(columns="dataset").reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, expected, check_dtype=False)


def test_markdown_has_a_section_for_each_panel(job):
    compare.main(job)
    text = job.output.md.read_text()
    for dataset in ("MSCOCO", "Shapes"):
        for direction in ("text to image", "image to text"):
            assert f"### {dataset}, {direction}, corrected protocol" in text


def test_only_declared_estimators_are_compared(job):
    job.params.spec |= {"estimators": ["top1_similarity", "margin"], "reference": None}
    compare.main(job)
    table = pd.read_csv(job.output.csv)
    assert set(table["first_estimator"]) | set(table["second_estimator"]) == {"top1_similarity", "margin"}
    assert table["paper_difference"].isna().all()


def test_other_splits_have_no_paper_differences(job):
    job.params.spec |= {"split": "val"}
    compare.main(job)
    table = pd.read_csv(job.output.csv)
    assert set(table["first_estimator"]) | set(table["second_estimator"]) >= {"top1_similarity", "adversarial_pgd"}
    assert table["paper_difference"].isna().all()
