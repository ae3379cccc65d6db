"""A user's own images, captions and encoder need only entries in the configuration."""

import json

import pandas as pd
import pytest

from helpers.pipeline import TINY_CONFIG

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
