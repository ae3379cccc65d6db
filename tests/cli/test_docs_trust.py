"""The commands and the Python lines of docs/trust.md, run as they are written."""

import os
import re
import shlex

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from typer.testing import CliRunner

from helpers.encoder_inputs import SHAPES_SPEC
from helpers.pipeline import read_committed_config
from helpers.search_inputs import write_search
from overtop.cli.app import app
from overtop.datasets.shapes import write_images
from overtop.encoders.loading import build_model
from overtop.pipeline.loading import load_config
from overtop.training.checkpoint import save_checkpoint

WIDTH = 96
"""Characters in a line of the output on the page."""

N_LISTED = 50
"""Items in a result list."""

MIRROR_FILE = "embeddings/flickr8k_test_openai_clip_vitb32.npz"
"""The embeddings that the output on the page was made with."""


def page_blocks(repo):
    """Return the code blocks of the page as (language, content), in order."""
    return re.findall(r"```(\w+)\n(.*?)```", (repo / "docs" / "trust.md").read_text(), re.S)


def write_lists(name, queries, gallery):
    """Write the result lists of an exact search."""
    gallery, queries = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (gallery, queries))
    similarity = queries @ gallery.T
    best = np.argsort(-similarity, axis=1)[:, :N_LISTED]
    values = np.take_along_axis(similarity, best, axis=1)
    rows = np.repeat(np.arange(len(queries)), N_LISTED)
    pd.DataFrame({"query": rows, "item": best.ravel(), "similarity": values.ravel()}).to_parquet(name, index=False)


def write_page_files(gallery, log, new, truth_of_log):
    """Write the files that the page starts from into the working directory."""
    for name, rows in {"gallery": gallery, "log": log, "new": new, "truth_of_log": truth_of_log}.items():
        np.save(f"{name}.npy", rows)
    write_lists("results.parquet", log, gallery)
    write_lists("new-results.parquet", new, gallery)


def run_commands(block):
    """Run the lines of a console block; return their standard output, with the labels filled in after `label`."""
    outputs = []
    for line in block.strip().splitlines():
        arguments = shlex.split(line.replace("ViT-B-32", "shapes-vit").replace("openai", "tiny.safetensors"))
        result = CliRunner().invoke(app, arguments[1:])
        assert result.exit_code == 0, (line, result.output, result.exception)
        outputs.append(result.stdout)
        if arguments[1] == "label":
            labels = pd.read_csv("labels.csv")
            assert (labels["relevant"] == "?").all()
            labels.assign(relevant=np.load("truth_of_log.npy")[labels["query"]]).to_csv("labels.csv", index=False)
    return "\n".join(outputs)


def engine_responses(queries, gallery):
    """Return what Elasticsearch answers to kNN searches: the ids are text, the score is (1 + cosine) / 2."""
    write_lists("elastic.parquet", queries, gallery)
    lists = pd.read_parquet("elastic.parquet").groupby("query")
    return [
        {
            "hits": {
                "hits": [{"_id": f"doc-{row.item}", "_score": (1 + row.similarity) / 2} for row in found.itertuples()]
            }
        }
        for _, found in lists
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory of a page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    return tmp_path


def write_photos(folder):
    torch.manual_seed(0)
    save_checkpoint(build_model("tiny", SHAPES_SPEC, None), folder / "tiny.safetensors")
    (folder / "photos").mkdir()
    write_images(folder / "photos", "test", 6, 48, 0)
    pd.DataFrame({"text": ["a red circle", "some shapes"]}).to_csv(folder / "queries.csv", index=False)


def test_commands_and_python_lines_of_the_page_run(repo, folder, capsys):
    write_search(folder, n_items=1000, n_labelled=750, n_new=250)
    truth = np.load("truth_of_labelled.npy")
    write_page_files(*(np.load(f"{name}.npy") for name in ("gallery", "labelled", "new")), truth)
    write_photos(folder)
    names = {}
    for language, block in page_blocks(repo):
        if language == "console" and block.startswith("overtop"):
            run_commands(block)
        elif language == "python":
            if "responses" in block:
                names["responses"] = engine_responses(names["log"][names["labelled"]], names["gallery"])
                names["relevant"] = [f"doc-{row}" for row in names["labels"]["relevant"]]
            exec(block, names)
    assert {"trust.parquet", "bank.parquet", "topk.parquet", "photos.csv", "ranked.csv"} <= set(os.listdir())
    assert "nothing is promised" not in capsys.readouterr().out
    right = names["answers"]["top1"] == np.load("truth.npy")
    assert right[names["answers"]["act"]].mean() >= 0.9 > right.mean()


def test_output_on_the_page_is_that_of_real_photographs(repo, folder, mirror):
    with np.load(mirror / MIRROR_FILE) as arrays:
        images, texts = arrays["image"], arrays["text"]
    order = np.random.default_rng(0).permutation(len(images))
    log, new = order[:750], order[750:]
    write_page_files(images, texts[log], texts[new], log)
    blocks = page_blocks(repo)
    shown = 0
    for (language, block), (next_language, text) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language == "console" and block.startswith("overtop") and "--model" not in block:
            output = run_commands(block)
            if next_language == "text":
                shown += 1
                assert output == text
    assert shown == 6
    for name, (n_right, n_acted) in {"trust.parquet": (48, 48), "bank.parquet": (74, 76)}.items():
        answers = pd.read_parquet(name)
        right = answers["top1"] == new
        assert (right[answers["act"]].sum(), answers["act"].sum()) == (n_right, n_acted)


def test_configuration_of_the_page_is_valid(repo):
    values = read_committed_config(repo)
    [block] = [block for language, block in page_blocks(repo) if language == "yaml"]
    for section, entries in yaml.safe_load(block).items():
        values.setdefault(section, {}).update(entries)
    assert "support" in load_config(values).answers
