"""The writers of the library, each with two states of its files, to be killed while it writes.

Every writer is deterministic, so that a whole file has the bytes of one of the two states.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from overtop.datasets.raw import copy_into, remove_other_files
from overtop.downloads.digests import Digest
from overtop.downloads.lock import record_or_verify
from overtop.figures.style import save_figure
from overtop.retrieval.prepared import prepare_gallery
from overtop.storage.arrays import write_arrays
from overtop.storage.files import write_text
from overtop.storage.json_files import write_json
from overtop.storage.shards import ArraySource, write_shard
from overtop.storage.split import Split, write_split
from overtop.storage.tables import write_table
from overtop.storage.tensors import write_tensors
from overtop.training.checkpoint import save_checkpoint

WriteState = Callable[[Path, int], None]
"""Writes a state, 0 or 1, into a folder."""


@dataclass(frozen=True)
class Writer:
    """A writer that can be killed.

    Attributes:
        write: writes one of the two states.
        grows: whether state 1 is added to the file, which then keeps what it has.
    """

    write: WriteState
    grows: bool = False


def _numbers(state: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(state).normal(size=shape).astype(np.float32)


def _shard(folder: Path, state: int) -> None:
    ids = [f"image {number}" for number in range(500)]
    facts = {"state": state, "shard": 0, "shards": 1}
    write_shard(folder / "image-0of1.h5", _numbers(state, 2, 500, 64), ids, np.ones(500, bool), facts)


def _arrays(folder: Path, state: int) -> None:
    arrays = {"t2i/top_ids": _numbers(state, 800, 50), "t2i/top1": _numbers(state, 800)}
    write_arrays(folder / "ranking.h5", "ranking/1", arrays, {"state": state}, {"t2i/top_ids": (100, 50)})


def _text(folder: Path, state: int) -> None:
    write_text(folder / "table.md", f"| state {state} | 0.1234 |\n" * 20_000)


def _json(folder: Path, state: int) -> None:
    write_json(folder / "record.json", {f"image {number}": {"bytes": number, "state": state} for number in range(5000)})


def _frame(state: int) -> pd.DataFrame:
    return pd.DataFrame({"query": [f"caption {row}" for row in range(4000)], "uncertainty": _numbers(state, 4000)})


def _parquet(folder: Path, state: int) -> None:
    write_table(folder / "scores.parquet", _frame(state), {"provenance": str(state)})


def _csv(folder: Path, state: int) -> None:
    write_table(folder / "table.csv", _frame(state))


def _split(folder: Path, state: int) -> None:
    captions = [f"caption {row} of state {state}" for row in range(4000)]
    images = [f"image {row}.jpg" for row in range(800)]
    owners = np.arange(4000) // 5
    write_split(
        folder / "test.parquet",
        Split(
            image_ids=images,
            image_paths=images,
            caption_ids=[str(row) for row in range(4000)],
            captions=captions,
            image_of_caption=owners,
        ),
    )


def _tensors(folder: Path, state: int) -> None:
    tensors = {name: torch.from_numpy(_numbers(state, 400, 400)) for name in ("image", "text")}
    write_tensors(folder / "adapter.safetensors", "adapters/1", tensors, {"state": state})


def _checkpoint(folder: Path, state: int) -> None:
    model = torch.nn.Linear(400, 400)
    with torch.no_grad():
        model.weight.copy_(torch.from_numpy(_numbers(state, 400, 400)))
        model.bias.zero_()
    save_checkpoint(model, folder / "encoder.safetensors", {"state": state})


def _figure(folder: Path, state: int) -> None:
    figure, ax = plt.subplots()
    ax.plot(_numbers(state, 50))
    save_figure(figure, folder / "curve.pdf", folder / "curve.png")
    plt.close(figure)


def _copies(folder: Path, state: int) -> None:
    originals = folder.parent / f"originals {state}"  # made before any process is killed
    if not originals.is_dir():
        originals.mkdir(parents=True)
        for number in range(5):
            (originals / f"{number}.jpg").write_bytes(_numbers(state + number, 100, 1000).tobytes())
    names = [f"{number}.jpg" for number in range(5)]
    copy_into(folder, originals, {name: name for name in names})
    remove_other_files(folder, names)


def _lock(folder: Path, state: int) -> None:
    names = [f"file {number}" for number in range(20)] if state == 0 else [f"new {_lock_rows(folder)}"]
    for name in names:
        record_or_verify(folder / "lock.csv", "coco", name, folder / name, Digest(len(name), "0" * 64))


def _lock_rows(folder: Path) -> int:
    return (folder / "lock.csv").read_text().count("\n")


def _gallery(folder: Path, state: int) -> None:
    source = ArraySource([_numbers(state, 500, 64)], [f"item {number}" for number in range(500)])
    prepare_gallery(source, folder=folder / "gallery", device="cpu")


WRITERS = {
    "shard": Writer(_shard),
    "arrays": Writer(_arrays),
    "text": Writer(_text),
    "JSON": Writer(_json),
    "parquet": Writer(_parquet),
    "CSV": Writer(_csv),
    "split": Writer(_split),
    "safetensors": Writer(_tensors),
    "checkpoint": Writer(_checkpoint),
    "figure": Writer(_figure),
    "copies of raw files": Writer(_copies),
    "lock.csv": Writer(_lock, grows=True),
    "prepared gallery": Writer(_gallery),
}
"""Writers by the name of what they write."""
