"""New queries are answered from a folder of images and a table of texts, and only what changed is computed again."""

import json
import os
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from helpers.pipeline import TINY_CONFIG
from overtop.confidence.answering import COLUMNS
from overtop.storage.tables import read_table_metadata

pytestmark = pytest.mark.slow

TEXTS = ["a red circle", "a large blue square above a green triangle", "shapes"]
TARGETS = ("results/answers/photos.csv", "results/answers/captions.csv", "results/answers/arrays.parquet")


def write_configuration(project):
    """A folder of images, texts, and embeddings of both, outside the project's own data; returns the arguments."""
    own = project.root / "own"
    (own / "photos" / "more").mkdir(parents=True)
    images = sorted((project.root / "data/raw/shapes/test").glob("*.png"))
    for number, image in enumerate(images[:12]):
        shutil.copy(image, own / "photos" / ("more" if number % 2 else "") / image.name)
    pd.DataFrame({"text": TEXTS}).to_csv(own / "queries.csv", index=False)
    rng = np.random.default_rng(0)
    np.save(own / "gallery.npy", rng.normal(size=(30, 64)).astype(np.float16))
    np.save(own / "queries.npy", rng.normal(size=(5, 64)).astype(np.float16))
    model = {"dataset": "shapes", "posterior": "tiny"}
    answers = {
        "photos": {"model": model, "gallery": {"folder": "photos", "shards": 2}, "queries": {"table": "queries.csv"}},
        "captions": {"model": model, "gallery": {"dataset": "shapes"}, "queries": {"folder": "photos"}},
        "arrays": {
            "model": model,
            "gallery": {"embeddings": "gallery.npy"},
            "queries": {"embeddings": "queries.npy"},
            "direction": "t2i",
        },
    }
    (project.root / "answers.json").write_text(json.dumps({"mirror": str(own), "answers": answers}))
    return own, (*TARGETS, *TINY_CONFIG, "answers.json")


def read_answers(project, name):
    path = project.root / f"results/answers/{name}.parquet"
    return pd.read_parquet(path), json.loads(read_table_metadata(path)["provenance"])


def append(path, text):
    """Append to a file, with a later time of modification."""
    path.write_text(path.read_text() + text)
    os.utime(path, ns=(path.stat().st_mtime_ns + 10**9,) * 2)


@pytest.fixture
def answered(tiny, copy_of):
    project = copy_of(tiny)
    own, arguments = write_configuration(project)
    return project, own, arguments, project.run(*arguments)


def test_new_queries_are_answered_and_rebuilt_incrementally(answered):
    project, own, arguments, run = answered
    table, facts = read_answers(project, "photos")
    csv = pd.read_csv(project.root / TARGETS[0], keep_default_na=False)
    assert list(csv) == COLUMNS
    assert csv["query"].tolist() == table["query"].tolist() == TEXTS
    names = {str(path.relative_to(own / "photos")) for path in (own / "photos").rglob("*.png")}
    assert set(table["top1"]) <= names
    assert table["p_right"].between(0, 1).all()
    assert facts["promise"].startswith("nothing is promised: the model was fitted with another gallery")

    captions, facts = read_answers(project, "captions")
    assert set(captions["query"]) == names
    assert "another gallery" not in facts["promise"]
    assert facts["gallery"]["encoder"].startswith("tiny-0 (")

    arrays, facts = read_answers(project, "arrays")
    assert arrays["query"].tolist() == list("01234")
    assert any("the encoder of the gallery and of the queries is unknown" in line for line in facts["warnings"])

    summary = run.stderr.split("overtop: done")[1]
    assert "3 queries; act on 0 (0 %) at precision 0.9, by max_softmax" in summary
    assert "a red circle" in summary

    assert project.planned_jobs(*arguments) == Counter()
    expected = Counter({"answer": 1})
    assert project.planned_jobs(*arguments, "--config", "answers={photos: {precision: 0.8}}") == expected
    assert project.planned_jobs(*arguments, "--config", "operating={precisions: [0.9, 0.7]}") == Counter(
        {"calibrate": 1, "answer": 3}
    )

    append(own / "queries.csv", "a green triangle\n")
    assert project.planned_jobs(*arguments) == Counter({"fetch": 1, "split": 1, "embed": 1, "answer": 1})
    project.run(*arguments)
    assert read_answers(project, "photos")[0]["query"].tolist() == [*TEXTS, "a green triangle"]
    assert project.planned_jobs(*arguments) == Counter()

    (own / "photos" / "more" / "new.png").write_bytes(next((own / "photos").glob("*.png")).read_bytes())
    assert project.planned_jobs(TARGETS[0], *arguments[3:]) == Counter(
        {"fetch": 1, "split": 1, "embed": 2, "prepare": 1, "answer": 1}
    )
    np.save(own / "queries.npy", np.ones((2, 64)))
    assert project.planned_jobs(TARGETS[2], *arguments[3:]) == Counter({"answer": 1})


def test_missing_file_or_approximate_model_is_one_line_before_any_job(tiny, copy_of):
    project = copy_of(tiny)
    own, arguments = write_configuration(project)
    (own / "queries.csv").unlink()
    run = project.run(*arguments, "--dry-run", check=False)
    assert f"answers.json: answers.photos.queries.table: {own / 'queries.csv'} does not exist; correct the path" in (
        run.stdout + run.stderr
    )
    assert "rule calibrate" not in run.stdout + run.stderr
    target = ("results/answers/captions.csv", *arguments[3:], "--dry-run")
    project.run(*target)
    run = project.run(*target, "--config", "ranking={search: hnsw}", check=False)
    assert "answers.captions: answers are ranked exactly" in run.stdout + run.stderr
