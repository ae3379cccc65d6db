"""A user's own images, captions and encoder need only entries in the configuration."""

import json
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from helpers.own_data import examples_of_page, write_everything
from helpers.pipeline import ENVIRONMENT, TINY_CONFIG
from overtop.storage.split import read_split

pytestmark = pytest.mark.slow


def test_folder_of_images_with_own_checkpoint_has_table_and_figure(tiny, copy_of):
    """Images outside the project, one caption that is too long, and weights from a file."""
    project = copy_of(tiny)
    images = sorted((project.root / "data/raw/shapes/test").glob("*.png"))[:12]
    mine = project.root / "mine"
    mine.mkdir()
    rows = []
    for number, image in enumerate(images):
        (mine / image.name).write_bytes(image.read_bytes())
        rows += [(image.name, f"picture number {number}"), (image.name, "a red circle")]
    rows[0] = (rows[0][0], "a very long story " * 20)
    pd.DataFrame(rows, columns=["image", "caption"]).to_csv(mine / "captions.csv", index=False)
    (project.root / "data/encoders/tiny-0.safetensors").rename(mine / "weights.safetensors")
    overlay = {
        "datasets": {"mine": {"kind": "table", "source": str(mine)}},
        "encoders": {"own": {"architecture": "shapes-vit", "checkpoint": "mine/weights.safetensors"}},
        "posteriors": {"own": {"kind": "mc_dropout", "encoder": "own", "passes": 3}},
        "tables": {"mine": {"datasets": ["mine"], "posteriors": ["own"], "positives": ["labelled"]}},
        "figures": {"mine": {"kind": "rejection", "table": "mine"}},
    }
    (project.root / "mine.json").write_text(json.dumps(overlay))
    project.run("results/tables/mine.csv", "results/figures/mine.png", *TINY_CONFIG, "mine.json")
    table = pd.read_csv(project.root / "results/tables/mine.csv")
    assert set(table["n_queries"]) == {24, 12}
    assert set(table["n_truncated"]) == {1}
    assert "Captions truncated: " in (project.root / "results/tables/mine.md").read_text()


def test_folder_is_evaluated_by_the_entries_that_init_writes(tiny, copy_of):
    """Images and captions without splits, and new queries: a report with operating points and answers."""
    project = copy_of(tiny)
    split = read_split(project.root / "data/splits/shapes/test.parquet")
    photos = project.root / "photos"
    photos.mkdir()
    for path in split.image_paths:
        (photos / path.rsplit("/", 1)[1]).write_bytes((project.root / "data" / path).read_bytes())
    names = [split.image_paths[row].rsplit("/", 1)[1] for row in split.image_of_caption]
    pd.DataFrame({"file": names, "text": split.captions}).to_csv(photos / "texts.csv", sep=";", index=False)
    (photos / "queries.txt").write_text("a red circle\n")
    command = [sys.executable, "-m", "overtop", "init", "photos", "--name", "photos"]
    run = subprocess.run(command, cwd=project.root, capture_output=True, text=True, env=ENVIRONMENT, check=True)
    assert run.stdout.endswith("  snakemake --configfile photos.yaml\n")
    entries = yaml.safe_load((project.root / "photos.yaml").read_text())
    assert entries["datasets"]["photos"]["split"] == {"val": 0.5}
    (project.root / "photos.json").write_text(json.dumps({"posteriors": {"clip": {"encoder": "tiny-0"}}}))
    project.run(*TINY_CONFIG, "photos.yaml", "photos.json")
    points = pd.read_csv(project.root / "results/operating/photos/test/clip.csv")
    assert set(points["n_validation"]) == set(points["n_test"]) == {20}
    assert (points.loc[points["form"] == "guaranteed_precision", "n_needed"] > 20).all()
    assert pd.read_csv(project.root / "results/answers/photos.csv")["query"].tolist() == ["a red circle"]
    assert "a red circle" in (project.root / "results/reports/photos.html").read_text()


def test_every_example_of_the_page_can_be_planned(fresh, tmp_path):
    write_everything(tmp_path / "data")
    values = examples_of_page(fresh.root, tmp_path / "data")
    del values["ranking"]  # an index that answers cannot use
    (fresh.root / "page.json").write_text(json.dumps(values))
    targets = [
        *values["targets"],
        *(f"results/tables/{name}.csv" for name in values["tables"]),
        *(f"results/figures/{name}.pdf" for name in values["figures"]),
        *(f"results/answers/{name}.csv" for name in values["answers"]),
    ]
    jobs = fresh.planned_jobs(*targets, "--configfile", "page.json")
    assert jobs["table"] == len(values["tables"])
    assert jobs["answer"] == len(values["answers"])
    assert {"report", "operate", "cascade", "adapt", "weights"} <= set(jobs)
