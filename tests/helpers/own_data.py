"""The files that docs/own-data.md speaks of, small, and its examples."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml
from PIL import Image
from snakemake.utils import update_config

from helpers.saved_datasets import image_table, save_to_disk, write_image_folder

N = 20
NAMES = [f"{number}.png" for number in range(N)]


def write_images(folder: Path, names: Sequence[str] = NAMES) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(folder / name)


def write_table(folder: Path) -> None:
    write_images(folder)
    pd.DataFrame({"image": NAMES, "caption": NAMES}).to_csv(folder / "captions.csv", index=False)


def write_sparse_table(folder: Path) -> None:
    write_images(folder)
    captions = [name if number < 5 else "" for number, name in enumerate(NAMES)]
    pd.DataFrame({"image": NAMES, "caption": captions}).to_csv(folder / "captions.csv", index=False)


def write_flickr_style(folder: Path) -> None:
    write_images(folder / "Images")
    pd.DataFrame({"photo": NAMES, "alt": NAMES}).to_parquet(folder / "export.parquet")


def write_saved(folder: Path) -> None:
    table = image_table([name.encode() for name in NAMES], [["x", "y"]] * N, NAMES)
    save_to_disk(folder, table.rename_columns(["image", "sentences", "id"]).append_column("n", pa.array(range(N))))


def write_folders(folder: Path) -> None:
    for split in ("train", "validation", "test"):
        rows = [{"file_name": name, "text": "a dog"} for name in NAMES]
        write_image_folder(folder / split, {name: f"{split}{name}".encode() for name in NAMES}, rows, "metadata.jsonl")


def write_birds(folder: Path) -> None:
    write_images(folder, [f"{kind}/{name}" for kind in ("blue_jay", "056.robin") for name in NAMES[:3]])


def write_birds_table(folder: Path) -> None:
    write_images(folder)
    splits = ["train", "test"] * (N // 2)
    pd.DataFrame({"image": NAMES, "class": ["a", "b"] * (N // 2), "split": splits}).to_csv(
        folder / "labels.csv", index=False
    )


def write_embeddings(folder: Path) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for name, owners in (("val", np.arange(N)), ("test", np.arange(N)), ("labelled", np.arange(N) - 1)):
        arrays = {"image": rng.normal(size=(N, 4)), "text": rng.normal(size=(N, 4))}
        np.savez(folder / f"{name}.npz", **arrays, image_of_caption=owners)
    np.save(folder / "log.npy", rng.normal(size=(3, 4)))


def write_everything(data: Path) -> None:
    """What the page has in `/data`."""
    data.mkdir()
    for name, write in {
        "mine": write_table,
        "deployed": write_sparse_table,
        "flickr-style": write_flickr_style,
        "saved": write_saved,
        "image-folder": write_folders,
        "photos": write_images,
        "birds": write_birds,
        "birds-table": write_birds_table,
        "embeddings": write_embeddings,
    }.items():
        write(data / name)
    for name in ("queries", "new-queries"):
        pd.DataFrame({"text": ["a dog", "a cat"]}).to_csv(data / f"{name}.csv", index=False)


def examples_of_page(repo: Path, data: Path) -> dict[str, Any]:
    """All examples of the page in one, with `data` in place of `/data`; a later one may add keys."""
    values: dict[str, Any] = {}
    for block in re.findall(r"```yaml\n(.*?)```", (repo / "docs/own-data.md").read_text(), re.S):
        update_config(values, yaml.safe_load(block.replace("/data/", f"{data}/")))
    return values


def entries_of_page(repo: Path, data: Path) -> dict[str, Any]:
    """The data sets of the page that have local files."""
    return {name: entry for name, entry in examples_of_page(repo, data)["datasets"].items() if str(data) in str(entry)}
