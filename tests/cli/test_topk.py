"""The command on result lists of a search engine."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import overtop
from overtop.cli.topk import read_lists
from overtop.errors import OvertopError

TOP = 20


def search_lists(gallery, queries, names, top=TOP):
    """Return the lists of an exact search by cosine as a long table."""
    gallery, queries = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (gallery, queries))
    similarity = queries @ gallery.T
    best = np.argsort(-similarity, axis=1)[:, :top]
    return pd.DataFrame(
        {
            "query": np.repeat(names, top),
            "item": best.ravel(),
            "similarity": np.take_along_axis(similarity, best, axis=1).ravel(),
        }
    )


@pytest.fixture
def lists(search):
    """Lists of labelled and new queries as parquet and CSV in the working directory."""
    gallery = np.load("gallery.npy")
    search_lists(gallery, np.load("labelled.npy"), np.arange(400)).to_parquet("labelled.parquet")
    new = search_lists(gallery, np.load("new.npy"), [f"q{i}" for i in range(200)])
    new.to_csv("new.csv", index=False)
    return new


CALIBRATE = ("calibrate", "--topk", "labelled.parquet", "--relevant", "labels.csv", "--gallery-size", "500")
TRUST = ("trust", "--topk", "new.csv")


def test_answers_equal_those_of_the_python_api(lists, run, search):
    output = run(*CALIBRATE, "-o", "trust.json")
    assert "360 labelled queries (40 without a label left out), 500 gallery items" in output
    output = " ".join(run(*TRUST, "--with", "trust.json", "-o", "trust.parquet").split())
    assert "searched by the same engine for the best 20 items" in output
    table, labels = pd.read_parquet("labelled.parquet"), pd.read_csv("labels.csv")
    relevant = np.full(400, -1)
    relevant[labels["query"]] = labels["relevant"]
    ids, scores = (table[column].to_numpy().reshape(400, TOP) for column in ("item", "similarity"))
    judge = overtop.fit_topk(ids, scores, relevant, n_gallery=500)
    ids, scores = (lists[column].to_numpy().reshape(200, TOP) for column in ("item", "similarity"))
    expected = judge(ids, scores, query_ids=[f"q{i}" for i in range(200)])
    answers = pd.read_parquet("trust.parquet")
    pd.testing.assert_frame_equal(answers, expected)
    right = answers["top1"] == np.load("truth.npy")
    assert right[answers["act"]].mean() >= 0.9 > right.mean()


def test_lists_are_judged_without_torch(lists, search):
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom overtop.cli.app import app\n"
        f"for line in ({[*CALIBRATE, '-o', 't.json']}, {[*TRUST, '--with', 't.json', '-o', 't.csv']}):\n"
        "    result = CliRunner().invoke(app, line)\n"
        "    assert result.exit_code == 0, result.output\n"
        "print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


def test_without_labels_queries_are_ranked(lists, run):
    output = run(*TRUST, "--coverage", "0.5", "--gallery-size", "500", "-o", "trust.csv")
    answers = pd.read_csv("trust.csv")
    assert answers["act"].sum() == 100
    assert answers["p_bound"].between(0, 1).all()
    assert "Nothing is promised" in output


def test_items_of_a_group_do_not_compete(lists, run):
    """All items in one group: no rival is left."""
    pd.DataFrame({"item": np.arange(500), "group": "same"}).to_csv("groups.csv", index=False)
    run(*TRUST, "--groups", "groups.csv", "-o", "trust.csv")
    assert pd.read_csv("trust.csv")["p_right"].min() == 1


def test_scores_of_elasticsearch_give_the_same_answers(lists, run):
    table = pd.read_csv("new.csv")
    table.assign(similarity=(1 + table["similarity"]) / 2).to_csv("elastic.csv", index=False)
    run(*TRUST, "-o", "cosine.csv")
    run("trust", "--topk", "elastic.csv", "--metric", "elasticsearch", "-o", "elastic-answers.csv")
    cosine, elastic = (pd.read_csv(name)["p_right"] for name in ("cosine.csv", "elastic-answers.csv"))
    np.testing.assert_allclose(elastic, cosine, rtol=1e-9)


def test_model_of_lists_and_model_of_a_gallery_are_not_exchanged(lists, run, fail):
    run(*CALIBRATE, "-o", "lists.json")
    embeddings = ("--gallery", "gallery.npy", "--queries")
    run("calibrate", *embeddings, "labelled.npy", "--relevant", "labels.csv", "-o", "gallery.json")
    assert "lists.json" in fail("trust", *embeddings, "new.npy", "--with", "lists.json", "-o", "t.csv")
    assert "gallery.json: was not fitted to lists" in fail(*TRUST, "--with", "gallery.json", "-o", "t.csv")


def test_rows_of_a_query_need_not_follow_each_other(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("query,item,similarity,rank\nb,x,0.9,1\na,y,0.8,1\nb,y,0.7,2\na,x,0.1,2\n")
    assert read_lists(path) == (["b", "a"], [["x", "y"], ["y", "x"]], [[0.9, 0.7], [0.8, 0.1]])


@pytest.mark.parametrize(
    ("items", "ids"),
    [(["1", "20"], [1, 20]), (["01", "20"], ["01", "20"]), (["1", "b"], ["1", "b"]), (["-1", "5"], [-1, 5])],
)
def test_ids_are_integers_only_if_all_are(tmp_path, items, ids):
    path = tmp_path / "t.csv"
    path.write_text(f"query,item,similarity\nq,{items[0]},0.9\nq,{items[1]},0.8\n")
    assert read_lists(path)[1] == [ids]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("q,,0.5", "row 1 has no item"),
        ("q,a,0.5\n,b,0.4", "row 2 has no query"),
        ("q,a,high", "similarity in row 1 is no number"),
        ("q,a,", "similarity in row 1 is no number"),
    ],
)
def test_table_of_lists_with_a_missing_value_is_rejected(tmp_path, rows, message):
    path = tmp_path / "t.csv"
    path.write_text(f"query,item,similarity\n{rows}\n")
    with pytest.raises(OvertopError, match=message):
        read_lists(path)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ((*TRUST, "--gallery", "gallery.npy", "-o", "t.csv"), "--gallery cannot be combined with --topk"),
        ((*TRUST, "--bank", "bank.npy", "-o", "t.csv"), "--bank cannot be combined with --topk"),
        ((*TRUST, "--model", "ViT-B-32", "-o", "t.csv"), "--model cannot be combined with --topk"),
        (("trust", "--topk", "labels.csv", "-o", "t.csv"), "labels.csv: no column 'item'"),
        (("trust", "--topk", "none.csv", "-o", "t.csv"), "none.csv: no such file"),
        (("trust", "--topk", "twice.csv", "-o", "t.csv"), "--topk twice.csv: ids: query 'q' has item 3 twice"),
        (("trust", "--topk", "rising.csv", "-o", "t.csv"), "is not sorted, best first"),
        ((*CALIBRATE[:4], "words.csv", "-o", "t.json"), "words.csv: 'cat' is no id like those of the lists"),
        ((*CALIBRATE[:4], "other.csv", "-o", "t.json"), "other.csv: column query: 'q0' is not in --topk"),
        (
            (*TRUST, "--with", "fitted.json", "--metric", "l2", "-o", "t.csv"),
            "--metric is part of the confidence model",
        ),
        ((*TRUST, "--with", "fitted.json", "--gallery-size", "9", "-o", "t.csv"), "was fitted with 500 items"),
        ((*TRUST, "--with", "fitted.json", "--encoder", "l14", "-o", "t.csv"), "was fitted with encoder 'b32'"),
        ((*TRUST, "--with", "fitted.json", "--precision", "0.5", "-o", "t.csv"), "has thresholds for 0.9"),
        ((*TRUST, "--metric", "inner_product", "-o", "t.csv"), "temperature"),
        ((*TRUST, "-o", "new.csv"), "-o new.csv: this file is an input"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(lists, search, run, fail, command, message):
    (search / "twice.csv").write_text("query,item,similarity\nq,3,0.9\nq,3,0.8\n")
    (search / "rising.csv").write_text("query,item,similarity\nq,3,0.7\nq,4,0.8\n")
    (search / "words.csv").write_text("query,relevant\n0,cat\n")
    (search / "other.csv").write_text("query,relevant\nq0,1\n")
    run(*CALIBRATE, "--encoder", "b32", "-o", "fitted.json")
    before = sorted(path.name for path in search.iterdir())
    assert message in fail(*command)
    assert sorted(path.name for path in search.iterdir()) == before
