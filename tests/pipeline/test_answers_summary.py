import json

import pandas as pd

from overtop.confidence.answering import COLUMNS
from overtop.pipeline.answers_summary import answers_summary
from overtop.pipeline.summary import summarise_run
from overtop.storage.tables import write_table

FACTS = {
    "queries": 2000,
    "acted": 500,
    "precision": 0.9,
    "estimator": "max_softmax",
    "promise": "at least 90 % are right",
    "warnings": ["these queries are unlike the labelled ones"],
}


def write_answers(folder, n_rows=8):
    rows = [
        (f"query {i} " + "long " * 20 * (i == 1), f"{i}.jpg", 0.3, 0.1, 0.876, i < 2, "tied") for i in range(n_rows)
    ]
    folder.mkdir(parents=True)
    path = folder / "mine.parquet"
    write_table(path, pd.DataFrame(rows, columns=COLUMNS), {"provenance": json.dumps(FACTS)})
    write_table(path.with_suffix(".csv"), pd.read_parquet(path))
    return path.with_suffix(".csv")


def test_summary_has_counts_promise_warnings_and_the_first_answers(tmp_path):
    lines = answers_summary(write_answers(tmp_path / "answers"))
    assert lines[:3] == [
        "2,000 queries; act on 500 (25 %) at precision 0.9, by max_softmax",
        "Promise: at least 90 % are right",
        "Warning: these queries are unlike the labelled ones",
    ]
    assert [line.split()[0] for line in lines[3:]] == ["query"] * 6
    assert lines[4].split()[2:] == ["0.jpg", "0.88", "True", "tied"]
    assert lines[5].startswith("query 1 long")
    assert "...  1.jpg  0.88" in lines[5]


def test_run_shows_the_summary_of_both_files_of_an_answer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_answers(tmp_path / "results" / "answers")
    for target in ("results/answers/mine.csv", "results/answers/mine.parquet"):
        assert any("Promise: at least 90 % are right" in line for line in summarise_run([target]))


def test_answers_without_their_parquet_file_have_no_summary(tmp_path):
    path = write_answers(tmp_path / "answers")
    path.with_suffix(".parquet").unlink()
    assert answers_summary(path) == []
