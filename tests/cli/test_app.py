"""The command on embeddings: results, files and messages."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import overtop
from overtop.cli.app import app
from overtop.confidence.answering import COLUMNS
from overtop.storage.json_files import read_json

CALIBRATE = ("calibrate", "--gallery", "gallery.npy", "--queries", "labelled.npy", "--relevant", "labels.csv")
TRUST = ("trust", "--gallery", "gallery.npy", "--queries", "new.npy")


def test_help_and_version_are_printed_without_torch_and_pandas():
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom overtop.cli.app import app\n"
        "for line in (['--help'], ['--version'], ['calibrate', '--help'], ['trust', '--help']):\n"
        "    assert CliRunner().invoke(app, line).exit_code == 0\n"
        "print([name for name in ('torch', 'pandas') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_bad_input_is_reported_before_torch_is_imported(search):
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom overtop.cli.app import app\n"
        "result = CliRunner().invoke(app, ['calibrate', '--gallery', 'gallery.npy', '--queries', 'labelled.npy',\n"
        "    '--relevant', 'gallery.npy', '-o', 'trust.json'])\n"
        "print(result.exit_code, 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "1 False\n"


def test_module_runs_the_command():
    result = subprocess.run([sys.executable, "-m", "overtop", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"overtop {overtop.__version__}\n"


def test_answers_equal_those_of_the_python_api(search, run):
    output = run(*CALIBRATE, "--precision", "0.9", "-o", "trust.json")
    assert "360 labelled queries (40 without a label left out), 500 gallery items" in output
    output = run(*TRUST, "--with", "trust.json", "-o", "trust.parquet")
    labels = pd.read_csv("labels.csv")
    relevant = np.full(400, -1)
    relevant[labels["query"]] = labels["relevant"]
    judge = overtop.fit(np.load("gallery.npy"), np.load("labelled.npy"), relevant, precision=0.9)
    answers = pd.read_parquet("trust.parquet")
    assert list(answers.columns) == COLUMNS
    pd.testing.assert_frame_equal(answers, judge(np.load("new.npy")))
    assert f"200 queries: act on {answers['act'].sum()} (" in output
    right = answers["top1"] == np.load("truth.npy")
    assert right[answers["act"]].mean() >= 0.9 > right.mean()


def test_csv_and_parquet_have_the_same_answers(search, run):
    for name in ("trust.csv", "trust.parquet"):
        run(*TRUST, "-o", name)
    written = pd.read_csv("trust.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(written, pd.read_parquet("trust.parquet"))


def test_output_says_what_is_promised_and_shows_the_first_rows(search, run):
    run(*CALIBRATE, "--precision", "0.9", "--precision", "0.8", "-o", "trust.json")
    output = run(*TRUST, "--with", "trust.json", "--precision", "0.8", "-o", "trust.csv")
    flat = " ".join(output.split())
    assert "With probability 0.95, at least 80 % of the answers that are acted on are right" in flat
    assert "wrote trust.csv; the first of 200 rows:" in flat
    assert all(len(line) <= 100 for line in output.splitlines())
    header, *rows = output.splitlines()[-11:]
    assert header.split() == ["query", "top1", "similarity", "uncertainty", "p_right", "act"]
    assert [row.split()[0] for row in rows] == [str(row) for row in range(10)]


def test_precision_that_cannot_be_guaranteed_is_reported(search, run):
    output = " ".join(run(*CALIBRATE, "--precision", "0.999", "-o", "trust.json").split())
    assert "precision 0.999: cannot be guaranteed; act on none" in output
    assert "warning: precision 0.999" in output
    assert "at least 2995 are needed" in output
    output = " ".join(run(*TRUST, "--with", "trust.json", "-o", "trust.csv").split())
    assert "act on 0 (0.0 %) Nothing is promised at precision 0.999" in output


def test_coverage_acts_on_the_most_certain_and_promises_nothing(search, run):
    output = run(*TRUST, "--coverage", "0.25", "-o", "trust.csv")
    answers = pd.read_csv("trust.csv")
    assert answers["act"].sum() == 50
    assert answers.loc[answers["act"], "uncertainty"].max() < answers.loc[~answers["act"], "uncertainty"].min()
    assert "Nothing is promised" in output


def test_without_model_and_coverage_nothing_is_acted_on(search, run):
    output = " ".join(run(*TRUST, "-o", "trust.csv").split())
    assert "act on 0 (0.0 %) No labels: nothing is promised" in output


def test_other_gallery_is_reported_as_without_promise(search, run):
    run(*CALIBRATE, "-o", "trust.json")
    np.save("other.npy", np.load("gallery.npy")[:400])
    output = " ".join(run("trust", "--gallery", "other.npy", *TRUST[3:], "--with", "trust.json", "-o", "t.csv").split())
    assert "warning: this is not the gallery that the confidence model was fitted with" in output
    assert "Nothing is promised: the model was fitted with another gallery (500 items)" in output


def test_prepared_gallery_gives_the_same_answers(search, run):
    bank = ("--bank", "bank.npy")
    output = run("prepare", "--gallery", "gallery.npy", *bank, "--encoder", "b32", "-o", "gallery")
    assert output == "500 items of dimension 64, bank of 300 queries, encoder b32\nwrote gallery/\n"
    run("calibrate", "--gallery", "gallery", *CALIBRATE[3:], "-o", "prepared.json")
    run(*CALIBRATE, *bank, "-o", "raw.json")
    prepared, raw = (read_json(search / name) for name in ("prepared.json", "raw.json"))
    assert prepared["models"]["queries"]["facts"].pop("encoder") == "b32"
    assert raw["models"]["queries"]["facts"].pop("encoder") is None
    assert prepared == raw
    assert raw["models"]["queries"]["estimator"] == "bank_nnn"
    run("trust", "--gallery", "gallery", *TRUST[3:], "--with", "prepared.json", "-o", "prepared.csv")
    run(*TRUST, *bank, "--with", "raw.json", "-o", "raw.csv")
    assert (search / "prepared.csv").read_text() == (search / "raw.csv").read_text()


def test_bank_from_the_log_leaves_labelled_queries_out(search, run, fail):
    message = fail(*CALIBRATE, "--bank", "labelled.npy", "-o", "trust.json")
    assert message == "overtop: --bank labelled.npy: the labelled queries are in it; add --bank-without labels.csv\n"
    run(*CALIBRATE, "--bank", "labelled.npy", "--bank-without", "labels.csv", "-o", "trust.json")
    facts = json.loads((search / "trust.json").read_text())["models"]["queries"]["facts"]
    assert facts["bank"]["size"] == 40


def test_copy_of_a_labelled_query_in_another_bank_is_rejected(search, fail):
    np.save("other.npy", np.concatenate([np.load("bank.npy"), np.load("labelled.npy")[5:6]]))
    assert "contains the labelled query '5'" in fail(*CALIBRATE, "--bank", "other.npy", "-o", "trust.json")


def test_model_with_a_bank_needs_the_same_bank(search, run, fail):
    run(*CALIBRATE, "--bank", "bank.npy", "-o", "trust.json")
    assert "needs the bank that the model was fitted with, and there is none" in fail(
        *TRUST, "--with", "trust.json", "-o", "t.csv"
    )
    assert "and this is another one" in fail(*TRUST, "--bank", "new.npy", "--with", "trust.json", "-o", "t.csv")
    assert not (search / "t.csv").exists()


def test_model_of_another_encoder_is_refused(search, run, fail):
    run(*CALIBRATE, "--encoder", "b32", "-o", "trust.json")
    message = fail(*TRUST, "--encoder", "l14", "--with", "trust.json", "-o", "t.csv")
    assert "'l14'" in message
    assert "'b32'" in message
    run(*TRUST, "--encoder", "b32", "--with", "trust.json", "-o", "t.csv")


def test_captions_of_one_image_do_not_compete(search, run):
    """Each gallery item twice, slightly different: without groups its twin is always a rival."""
    gallery = np.repeat(np.load("gallery.npy"), 2, axis=0)
    gallery[1::2, 5] += 0.01
    np.save("twins.npy", gallery)
    pd.DataFrame({"item": np.arange(1000), "group": np.arange(1000) // 2}).to_csv("groups.csv", index=False)
    command = ("trust", "--gallery", "twins.npy", *TRUST[3:])
    run(*command, "-o", "rivals.csv")
    run(*command, "--groups", "groups.csv", "-o", "grouped.csv")
    run(*TRUST, "-o", "single.csv")
    rivals, grouped, single = (pd.read_csv(name)["p_right"] for name in ("rivals.csv", "grouped.csv", "single.csv"))
    assert rivals.max() < 0.6
    np.testing.assert_allclose(grouped, single, atol=0.02)


def test_same_command_writes_the_same_bytes(search, run):
    for name in ("a", "b"):
        run(*CALIBRATE, "--estimator", "auto", "-o", f"{name}.json")
        run(*TRUST, "--with", f"{name}.json", "-o", f"{name}.parquet")
    assert (search / "a.json").read_bytes() == (search / "b.json").read_bytes()
    assert (search / "a.parquet").read_bytes() == (search / "b.parquet").read_bytes()


def test_seed_of_the_file_is_that_of_the_option(search, run):
    run(*CALIBRATE, "-o", "a.json")
    run(*CALIBRATE, "--seed", "1", "-o", "b.json")
    models = [json.loads((search / name).read_text())["models"]["queries"] for name in ("a.json", "b.json")]
    assert models[0]["calibration"] != models[1]["calibration"]
    assert models[0]["thresholds"] == models[1]["thresholds"]


def test_file_with_images_and_texts_is_searched_in_the_given_direction(search, run, fail):
    np.savez("both.npz", image=np.load("gallery.npy"), text=np.load("new.npy"))
    command = ("trust", "--gallery", "both.npz", "--queries", "both.npz", "-o", "both.csv")
    assert "--direction t2i or --direction i2t" in fail(*command)
    run(*command, "--direction", "t2i")
    run(*TRUST, "-o", "single.csv")
    assert (search / "both.csv").read_text() == (search / "single.csv").read_text()


def test_queries_to_label_are_a_prefix_of_a_larger_sample(search, run, fail):
    run("label", "--queries", "new.npy", "--size", "20", "-o", "few.csv")
    run("label", "--queries", "new.npy", "--size", "50", "-o", "many.csv")
    few, many = pd.read_csv("few.csv"), pd.read_csv("many.csv")
    assert few["query"].tolist() == many["query"].tolist()[:20]
    assert few["query"].is_unique
    message = fail(
        "calibrate", "--gallery", "gallery.npy", "--queries", "new.npy", "--relevant", "few.csv", "-o", "t.json"
    )
    assert "no query is labelled" in message


def test_labelling_may_stop_anywhere(search, run):
    run("label", "--queries", "new.npy", "--size", "100", "-o", "to-label.csv")
    table = pd.read_csv("to-label.csv", dtype=str)
    truth = np.load("truth.npy")
    table.loc[:59, "relevant"] = [str(truth[int(query)]) for query in table["query"][:60]]
    table.to_csv("to-label.csv", index=False)
    output = run("calibrate", *CALIBRATE[1:3], "--queries", "new.npy", "--relevant", "to-label.csv", "-o", "trust.json")
    assert "60 labelled queries (140 without a label left out)" in output


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ((*CALIBRATE, "-o", "trust.txt"), "-o trust.txt: the name must end in .json"),
        ((*CALIBRATE, "-o", "none/trust.json"), "the folder none does not exist; create it"),
        ((*TRUST, "-o", "trust.json"), "-o trust.json: the name must end in .parquet or .csv"),
        ((*TRUST, "--with", "none.json", "-o", "t.csv"), "none.json: no such file"),
        ((*TRUST, "--with", "labels.csv", "-o", "t.csv"), "labels.csv: has no digest, so it is damaged or not"),
        ((*TRUST, "--precision", "0.9", "-o", "t.csv"), "--precision needs --with"),
        ((*TRUST, "--coverage", "1.5", "-o", "t.csv"), "coverage is 1.5"),
        ((*TRUST, "--coverage", "0.5", "--precision", "0.9", "-o", "t.csv"), "--precision and --coverage: give one"),
        ((*TRUST, "--gallery-size", "9", "-o", "t.csv"), "--gallery-size belongs to --topk"),
        ((*TRUST, "--bank-without", "labels.csv", "-o", "t.csv"), "--bank-without needs --bank"),
        ((*TRUST, "--model", "ViT-B-32", "-o", "t.csv"), "--model is not used"),
        ((*TRUST, "--weights", "openai", "-o", "t.csv"), "--weights needs --model"),
        ((*TRUST[:3], "-o", "t.csv"), "--queries is missing"),
        (("trust", *TRUST[3:], "-o", "t.csv"), "--gallery is missing"),
        ((*TRUST[:4], "none.npy", "-o", "t.csv"), "--queries none.npy: no such file or folder"),
        ((*TRUST[:4], "texts.txt", "-o", "t.csv"), "--queries texts.txt: texts need an encoder"),
        ((*TRUST[:4], "texts.txt", "--model", "ViT-B-32", "-o", "t.csv"), "--model ViT-B-32 needs --weights"),
        ((*TRUST[:4], "texts.txt", "--model", "x", "--weights", "a/b.pt", "-o", "t.csv"), "--weights a/b.pt: no such"),
        ((*TRUST[:4], "narrow.npy", "-o", "t.csv"), "--queries narrow.npy: embeddings of dimension 63, but those of"),
        ((*TRUST[:4], "nan.npy", "-o", "t.csv"), "the embedding of item '3' in sample 0 is zero or not finite"),
        ((*CALIBRATE[:6], "unknown.csv", "-o", "t.json"), "column relevant: '500' is not in --gallery gallery.npy"),
        ((*CALIBRATE[:6], "texts.txt", "-o", "t.json"), "texts.txt: not a table"),
        ((*CALIBRATE, "--estimator", "max_sofmax", "-o", "t.json"), "max_sofmax"),
        ((*CALIBRATE, "--estimator", "bank_nnn", "-o", "t.json"), "bank_nnn needs a bank"),
        ((*CALIBRATE, "--precision", "1.5", "-o", "t.json"), "1.5"),
        ((*CALIBRATE, "--confidence", "0", "-o", "t.json"), "confidence"),
        ((*CALIBRATE, "--temperature", "-1", "-o", "t.json"), "-1"),
        ((*TRUST[:4], "prepared", "-o", "t.csv"), "--queries prepared: this is a prepared gallery"),
        (
            ("trust", "--gallery", "prepared", *TRUST[3:], "--bank", "bank.npy", "-o", "t.csv"),
            "remove --bank, or prepare",
        ),
        ((*TRUST, "--bank", "all.csv", "-o", "t.csv"), "--bank all.csv: texts need an encoder"),
        ((*TRUST, "--groups", "groups.csv", "-o", "t.csv"), "groups.csv: item '1' is in groups 'a' and 'b'"),
        (
            (*TRUST, "--bank", "bank.npy", "--bank-without", "labels.csv", "-o", "labels.csv"),
            "is an input of the command",
        ),
        (("prepare", "--gallery", "nan.npy", "-o", "gallery"), "zero or not finite"),
        (("prepare", "--gallery", "gallery.npy", "-o", "."), "has other content; name a new folder"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(search, fail, command, message):
    (search / "texts.txt").write_text("a cat\n")
    np.save("narrow.npy", np.load("new.npy")[:, :63])
    with_nan = np.load("new.npy")
    with_nan[3, 2] = np.nan
    np.save("nan.npy", with_nan)
    (search / "prepared").mkdir()
    (search / "prepared" / "gallery.json").write_text("{}")
    (search / "all.csv").write_text("text\na cat\n")
    (search / "groups.csv").write_text("item,group\n0,a\n1,a\n1,b\n")
    (search / "unknown.csv").write_text("query,relevant\n0,500\n")
    before = sorted(path.name for path in search.iterdir())
    assert message in fail(*command)
    assert sorted(path.name for path in search.iterdir()) == before


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("calibrat",), "Did you mean 'calibrate'?"),
        (("trust", "--galery", "x"), "No such option: --galery"),
        (("trust", "--gallery", "x"), "Missing option '-o'"),
        ((*CALIBRATE, "--mapping", "isotone", "-o", "t.json"), "isotone"),
        (("label", "--queries", "x", "--size", "many", "-o", "t.csv"), "Invalid value for '--size'"),
    ],
)
def test_misspelt_command_or_option_is_explained(command, message):
    result = CliRunner().invoke(app, list(command))
    assert result.exit_code == 2
    assert message in result.output
