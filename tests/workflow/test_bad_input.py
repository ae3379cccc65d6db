"""Bad input ends in one clear error before time is spent, and never reaches a table."""

import json
import os

import numpy as np
import pandas as pd
import pytest

from helpers.pipeline import ENVIRONMENT, TINY_CONFIG
from overtop.storage.files import sha256
from overtop.storage.json_files import read_json, write_json

pytestmark = pytest.mark.slow

SHARD = "results/embeddings/shapes/test/tiny-0/deterministic/image-0of2.h5"
TABLE = "results/tables/tiny.csv"


def _fails(project, *arguments):
    result = project.run(*arguments, check=False)
    assert result.returncode != 0
    return result.stdout + result.stderr


def _lines(project, *arguments):
    """The lines that a run which fails before its first job prints."""
    output = _fails(project, *arguments)
    assert not list(project.root.glob("data/raw/*"))
    return [line for line in output.splitlines() if not line.startswith("Using workflow specific profile")]


def test_wrong_key_stops_before_any_job(fresh):
    assert _lines(fresh, "--config", "evaluation={bin: 5}", "estimators=[margn]") == [
        "overtop: --config: evaluation.bin: unknown key; did you mean 'bins'?"
    ]


def test_wrong_tag_stops_before_any_job(fresh):
    lines = _lines(fresh, "data/splits/shapes/test.parquet", "--config", "encoders={b32-openai: {tag: openia}}")
    assert lines[-1] == (
        "overtop: --config: encoders.b32-openai.tag: ViT-B-32 has no weights 'openia'; did you mean 'openai'?"
    )
    assert len(lines) == 2, "and the plan of the run"


def test_mistakes_in_yaml_are_one_line_each_before_all_else(fresh):
    (fresh.root / "mine.yaml").write_text("tables:\n\tmine: {}\n")
    with (fresh.root / "config.yaml").open("a") as file:
        file.write("posteriors: {}\n")
    lines = _lines(fresh, "-n", "--configfile", "mine.yaml")
    config = (fresh.root / "config.yaml").read_text().splitlines()
    places = f"line {len(config)}: posteriors is already in line {config.index('posteriors:') + 1}"
    assert [line.partition(", and YAML")[0] for line in lines] == [
        f"overtop: config.yaml: {places}",
        "overtop: mine.yaml: line 2, column 1: a tab indents this line; use spaces",
    ]


def test_wrong_targets_are_one_line_each(fresh):
    targets = ["demo", "results/scores/shapes/tset/shapes.parquet", "results/tabels/demo.csv", "results/tables/dem.csv"]
    assert _lines(fresh, "-n", *targets, "split") == [
        "overtop: demo: no rule makes it; did you mean 'results/tables/demo.csv'?",
        f"overtop: {targets[1]}: data set 'shapes' has no split 'tset'; did you mean 'test'?",
        f"overtop: {targets[2]}: no rule makes it; did you mean 'results/tables/demo.csv'?",
        f"overtop: {targets[3]}: no table 'dem' is declared; did you mean 'demo'?",
        "overtop: split: is a rule that makes many files; name one of them, such as "
        "data/splits/{dataset}/{split}.parquet",
    ]


def test_error_of_a_function_of_a_rule_is_one_line(fresh):
    assert _lines(fresh, "-n", "data/encoders/b32-openai.safetensors") == [
        "overtop: config.yaml: encoders.b32-openai has pretrained weights and is not trained"
    ]


def test_missing_weights_are_one_line(fresh):
    encoder = "encoders={own: {architecture: shapes-vit, checkpoint: none.pt}}"
    assert _lines(fresh, "-n", "results/scores/shapes/test/own.parquet", "--config", encoder) == [
        "overtop: --config: encoders.own.checkpoint: none.pt does not exist; correct the path"
    ]


@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_damaged_shard_never_reaches_a_table(tiny, copy_of, damage):
    project = copy_of(tiny)
    shard = project.root / SHARD
    content = bytearray(shard.read_bytes())
    if damage == "truncated":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    output = _fails(project, *TINY_CONFIG, "--rerun-triggers", "mtime")
    assert output.count(f"overtop: {SHARD}: ") == 1
    assert "rank shapes/test" in output
    assert "] evaluate" not in output
    assert project.read_files("results/tables/*") == tiny.read_files("results/tables/*"), "the old table is kept"
    shard.unlink()
    project.run(TABLE, *TINY_CONFIG)
    assert project.read_files("results/tables/*") == tiny.read_files("results/tables/*")


@pytest.fixture
def unreadable(tiny, copy_of):
    """A test image that is cut short in its source, so that its record agrees."""
    project = copy_of(tiny)
    image = next((project.root / "data/raw/shapes/test").glob("*.png"))
    image.write_bytes(image.read_bytes()[:100])
    path = project.root / "data/sources/shapes/test.json"
    times, record = path.stat(), read_json(path)
    record["files"][image.name] = {"bytes": 100, "sha256": sha256(image)}
    write_json(path, record)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    for shard in (project.root / "results/embeddings/shapes/test").rglob("image-*.h5"):
        shard.unlink()
    return project, image


def test_unreadable_image_is_named(unreadable):
    project, image = unreadable
    output = _fails(project, *TINY_CONFIG)
    assert f"overtop: image {image.relative_to(project.root)}: cannot be read" in output
    assert "on_error: skip" in output


def test_skipped_image_is_counted_in_the_table(unreadable):
    project, _ = unreadable
    project.run(TABLE, *TINY_CONFIG, "--config", "datasets={shapes: {on_error: skip}}")
    table = pd.read_csv(project.root / TABLE)
    assert set(table["n_skipped"]) == {1}
    assert set(table[table["direction"] == "i2t"]["n_queries"]) == {39}
    assert set(table[table["direction"] == "t2i"]["n_queries"]) == {195}


def _imported(project, **arrays):
    np.savez(project.root / "mine.npz", **arrays)
    config = {"mine": {"kind": "embeddings", "splits": {"test": str(project.root / "mine.npz")}}}
    table = {"mine": {"datasets": ["mine"], "posteriors": ["imported"], "positives": ["labelled"]}}
    return ("results/tables/mine.csv", "--config", f"datasets={json.dumps(config)}", f"tables={json.dumps(table)}")


def test_item_with_non_finite_embedding_is_named(fresh):
    image = np.random.default_rng(0).normal(size=(3, 4))
    image[1, 2] = np.nan
    output = _fails(fresh, *_imported(fresh, image=image, text=image[::-1], filenames=np.array(["a", "b", "c"])))
    assert "the embedding of image 'b' is zero or not finite" in output
    assert not list(fresh.root.glob("results/embeddings/**/*.h5"))


def test_embeddings_without_a_known_pair_are_ranked_and_not_scored(fresh):
    rng = np.random.default_rng(0)
    owners = np.full(4, -1)
    arrays = {"image": rng.normal(size=(9, 8)), "text": rng.normal(size=(4, 8)), "image_of_caption": owners}
    output = _fails(fresh, *_imported(fresh, **arrays))
    assert "overtop: t2i: none of 4 queries has a known match, so that nothing can be evaluated" in output
    assert (fresh.root / "results/rankings/mine/test/imported.h5").is_file()


def test_gallery_of_one_item_has_a_table(fresh):
    rng = np.random.default_rng(0)
    owner = np.zeros(5, dtype=int)
    fresh.run(*_imported(fresh, image=rng.normal(size=(1, 8)), text=rng.normal(size=(5, 8)), image_of_caption=owner))
    table = pd.read_csv(fresh.root / "results/tables/mine.csv")
    assert set(table["recall_at_1"]) == {1.0}
    assert table[["rejection_auc", "oracle_auc"]].notna().all(axis=None)
    undefined = table[~table["calibration_defined"]]  # all are hits
    assert len(undefined) == len(table)
    assert table[["spearman", "r2", "neg_sr2", "neg_sr2_low"]].isna().all(axis=None)
    markdown = (fresh.root / "results/tables/mine.md").read_text()
    assert "| – | – | – | **" in markdown.replace("<br>", " | ")


def test_missing_mirror_is_an_error_with_fix(fresh):
    lines = _lines(fresh, "-n", "results/tables/imported.csv")
    assert lines
    for line in lines:
        assert "no mirror is set; give an absolute path, or the folder that contains it: --config mirror=FOLDER" in line
    for line in _lines(fresh, "results/tables/imported.csv", "--config", "mirror=/nowhere"):
        assert "does not exist; correct `mirror`" in line


def test_permanent_error_is_not_retried_and_printed_once(fresh):
    folder = fresh.root / "mine"
    folder.mkdir()
    (folder / "captions.csv").write_text("image,caption\nnone.png,a dog\n")
    entry = {"mine": {"kind": "table", "source": str(folder)}}
    output = _fails(fresh, "data/splits/mine/test.parquet", "--config", f"datasets={json.dumps(entry)}")
    assert output.count(f"{folder / 'none.png'} is missing; complete the source") == 1
    assert "retry" not in output
    assert "Traceback" not in output
    assert len(output.splitlines()) <= 6


def test_jobs_use_the_library_of_their_own_checkout(fresh):
    """The environment has the library of this checkout, not that of the copy."""
    module = fresh.root / "scripts/overtop/datasets/source_records.py"  # that only jobs import
    module.write_text(module.read_text() + "\n\nPath('used').touch()\n")
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "PYTHONPATH"}
    fresh.run("data/sources/shapes/test.json", environment=environment)
    assert (fresh.root / "used").exists()
