"""The script end to end: the files of a small world as input, the page as output."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.robustness_inputs import robustness_job
from helpers.scripts import load_script
from overtop.retrieval.ranking import write_ranking
from overtop.storage.split import write_split
from overtop.storage.tables import write_table
from overtop.tables.published import combine_recalls
from report.inputs import ENCODER, SPEC, SmallWorld

report, robustness = load_script("report"), load_script("robustness")

POSTERIOR = ("d", "test", "p")
NO_INPUTS = (
    "tables", "members", "scores", "calibration", "rankings", "splits", "records", "operating", "studies", "checks",
    "answers", "answers_csv",
)  # fmt: skip


def make_job(tmp_path, spec, inputs, **params):
    values = {"tables": [], "posteriors": [], "splits": [], "operating": [], "entries": {"seed": 0}, "seed": 0}
    values |= {"spec": spec, "evaluation": SPEC.model_dump(), "data": str(tmp_path)}
    return SimpleNamespace(
        input=SimpleNamespace(**(dict.fromkeys(NO_INPUTS, []) | inputs)),
        output=[tmp_path / "page.html"],
        params=SimpleNamespace(**(values | params)),
        wildcards=SimpleNamespace(report="small"),
        config={},
        threads=2,
    )


def read_document(job):
    pages = job.output[0].read_text().split('<script type="application/json"')[1:]
    blocks = [json.loads(page.partition(">")[2].partition("</script>")[0]) for page in pages]
    return next(block for block in blocks if "panels" in block)


@pytest.fixture
def table_job(tmp_path):
    """A job for a report on a world without image files, so that no raw file is needed."""
    world = SmallWorld(tmp_path, has_files=False)
    facts = {"encoders": [ENCODER], "samples": 1, "n_skipped": 1, "skipped": ["x.jpg"], "n_truncated": 2}
    files = {name: tmp_path / name for name in ("scores.parquet", "calibration.parquet", "table.csv", "members.csv")}
    write_table(files["scores.parquet"], world.scores("p"), {"provenance": json.dumps(facts)})
    write_table(files["calibration.parquet"], world.evaluation("p").calibration)
    write_table(files["table.csv"], world.table())
    write_table(files["members.csv"], combine_recalls([]))
    write_ranking(tmp_path / "ranking.h5", world.rankings("p"), facts)
    write_split(tmp_path / "split.parquet", world.split)
    points = {"direction": "t2i", "estimator": "max_softmax", "protocol": "corrected", "positives": "labelled"}
    points |= {"form": "guaranteed_precision", "target": 0.9, "confidence": 0.95, "n_validation": 20, "n_test": 20}
    points |= {"threshold": -np.inf, "coverage": 0.0, "achieved": np.nan, "n_needed": np.inf, "dataset": "d"}
    write_table(tmp_path / "operating.csv", pd.DataFrame([points | {"posterior": "p"}]))
    inputs = {
        "tables": [files["table.csv"]],
        "members": [files["members.csv"]],
        "scores": [files["scores.parquet"]],
        "calibration": [files["calibration.parquet"]],
        "rankings": [tmp_path / "ranking.h5"],
        "splits": [tmp_path / "split.parquet"],
        "records": [tmp_path / "record.json"],
        "operating": [tmp_path / "operating.csv"],
    }
    return make_job(
        tmp_path,
        {"tables": ["small"], "queries": 8},
        inputs,
        tables=[{"split": "test", "reference": None}],
        posteriors=[POSTERIOR],
        splits=[POSTERIOR[:2]],
        operating=[POSTERIOR],
    )


def test_page_shows_the_table_the_promise_and_what_was_left_out(table_job):
    report.main(table_job)
    page, document = table_job.output[0].read_text(), read_document(table_job)
    assert [len(cards["id"]) for cards in document["queries"]] == [8, 8]
    assert "With 20 other queries, one per image, no threshold can promise R@1 0.9." in page
    assert "no R@1 of 0.9 can be promised with fewer than 29." in page
    assert "1 item skipped, which cannot be embedded: x.jpg." in page
    assert "2 captions truncated to the length of the encoder&#39;s context" in page
    assert {download["name"] for download in document["downloads"]} == {"table.csv", "operating.csv"}


def test_second_run_gives_equal_bytes(table_job):
    report.main(table_job)
    first = table_job.output[0].read_bytes()
    report.main(table_job)
    assert table_job.output[0].read_bytes() == first


def test_page_of_a_study_and_of_answers_needs_no_table(tmp_path):
    study = robustness_job(tmp_path)
    robustness.main(study)
    answers = pd.DataFrame({"query": ["q"], "top1": ["a <b>"], "similarity": 0.3, "uncertainty": 0.1, "p_right": 0.9})
    facts = {"queries": 1, "acted": 1, "precision": 0.9, "estimator": "max_softmax", "promise": "At least 90 %."}
    facts |= {"warnings": ["another gallery"]}
    write_table(tmp_path / "photos.parquet", answers.assign(act=True, warning=""), {"provenance": json.dumps(facts)})
    (tmp_path / "photos.csv").write_text("query\nq\n")
    inputs = {
        "studies": [study.output.csv],
        "checks": [study.output.checks],
        "answers": [tmp_path / "photos.parquet"],
        "answers_csv": [tmp_path / "photos.csv"],
    }
    job = make_job(tmp_path, {"robustness": ["scenes"], "answers": ["photos"]}, inputs)
    report.main(job)
    page = job.output[0].read_text()
    assert "scenes, Average: accuracy" in page
    assert "Promise: At least 90 %." in page
    assert "photos: another gallery" in page
    assert "a &lt;b&gt;" in page
    assert read_document(job)["panels"] == []
