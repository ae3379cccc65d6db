"""The page of the tiny run: its numbers are those of the files, and it is made again from them alone."""

import json
import re
import shutil

import pandas as pd
import pytest

from helpers.pipeline import TINY_CONFIG, Project

pytestmark = pytest.mark.slow

PAGE = "results/reports/tiny.html"
OPERATING = "results/operating/shapes/test/tiny.csv"


@pytest.fixture(scope="module")
def document(tiny: Project) -> dict:
    """What the script of the page reads."""
    blocks = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', (tiny.root / PAGE).read_text(), re.S)
    return next(value for block in blocks if "panels" in (value := json.loads(block)))


def test_measures_are_those_of_the_table(tiny, document):
    table = pd.read_csv(tiny.root / "results/tables/tiny.csv")
    shown = table.query("protocol == 'corrected' and binning == 'equal_width' and positives == 'labelled'")
    rows = shown.set_index(["direction", "posterior", "estimator"])
    methods = {(p["direction"], m["posterior"], m["estimator"]): m for p in document["panels"] for m in p["methods"]}
    assert set(methods) == set(rows.index)
    for key, method in methods.items():
        for name in ("aurc", "auroc", "coverage"):
            assert method["measures"][name] == pytest.approx(rows.loc[key, [name, f"{name}_low", f"{name}_high"]])


def test_errors_are_those_of_the_rejection_curve(tiny, document):
    for panel in document["panels"]:
        answered = {posterior["id"]: posterior["answered"] for posterior in panel["posteriors"]}
        for method in panel["methods"]:
            curve = pd.read_parquet(tiny.root / f"results/curves/rejection/shapes/test/{method['posterior']}.parquet")
            curve = curve[(curve["direction"] == panel["direction"]) & (curve["estimator"] == method["estimator"])]
            curve = curve.query("protocol == 'corrected' and positives == 'labelled'").set_index("n_rejected")
            n_queries = answered[method["posterior"]][-1]
            for count, errors in zip(answered[method["posterior"]], method["errors"], strict=True):
                if n_queries - count in curve.index:
                    recall = curve.loc[n_queries - count, "recall_at_1"]
                    assert errors == pytest.approx(count * (1 - recall), abs=0.006)


def test_cards_show_images_and_their_captions(tiny, document):
    captions = pd.read_parquet(tiny.root / "data/splits/shapes/test.parquet").set_index("caption_id")
    t2i, i2t = document["queries"]
    assert t2i["text"] == captions.loc[t2i["id"], "caption"].tolist()
    assert t2i["level"] == captions.loc[t2i["id"], "level"].tolist()
    assert i2t["gallery"]["text"] == captions.loc[i2t["gallery"]["id"], "caption"].tolist()
    assert len(t2i["id"]) == len(i2t["id"]) == 20
    assert min(i2t["thumbnail"] + t2i["gallery"]["thumbnail"]) >= 0
    assert len(document["thumbnails"]) <= 40


def test_purged_images_are_fetched_again_and_the_page_has_equal_bytes(tiny, copy_of):
    project = Project(copy_of(tiny).root, forks_jobs=True)
    before = project.read_files(PAGE)
    (project.root / PAGE).unlink()
    shutil.rmtree(project.root / "data/raw/shapes/test")
    project.run(PAGE, *TINY_CONFIG)
    assert project.read_files(PAGE) == before


def test_operating_points_are_asked_for_only_if_they_are_targets(tiny):
    targets = f"targets=[{PAGE}, {OPERATING}]"
    planned = tiny.planned_jobs(*TINY_CONFIG, "--config", targets)
    assert (planned["operate"], planned["report"]) == (1, 1)
    assert "operate" not in tiny.planned_jobs(PAGE, *TINY_CONFIG)
