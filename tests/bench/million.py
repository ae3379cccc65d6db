"""What a gallery of a million items costs: the streamed pass, FAISS flat and FAISS HNSW, each in a fresh process.

The gallery stands around real CLIP embeddings where the data mirror is at hand, else around seeded ones: each item is
one of them with noise of its own. The noise makes an item as near to the next one around the same embedding as real
images are to their nearest neighbour (cosine 0.8). Items are written as float16 and read in blocks, never all at once.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

REPO = Path(__file__).resolve().parents[2]
METHODS = ("stream", "flat", "hnsw")
NOISE = 0.5
"""Length of the noise over that of the embedding; two items around one have a cosine of 1 / (1 + NOISE^2)."""
QUERIES = 1000
TOP = 50
BLOCK = 8192
SEED = 7
CLOSE = 1e-5
MB = 2**20


class FileSource:
    """An `EmbeddingSource` of one sample over a file of float16, of which no part stays in memory."""

    n_samples = 1

    def __init__(self, path: Path, dim: int) -> None:
        self._path = path
        self.dims = (dim,)
        self.n_items = path.stat().st_size // (2 * dim)
        self.item_ids = [str(i) for i in range(self.n_items)]

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        dim = self.dims[0]
        found = np.fromfile(self._path, np.float16, count=(stop - start) * dim, offset=2 * start * dim)
        return found.reshape(-1, dim).astype(np.float32)


def run(items: int) -> pd.DataFrame:
    """One row per method: what it took, and how far its answers are those of the streamed pass."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        around = _fresh("make", str(items), folder)["around"]
        measured = {method: _fresh(method, "", folder) for method in METHODS}
        answers = {method: dict(np.load(folder / f"{method}.npz")) for method in METHODS}
    truth = answers["stream"]
    rows = []
    for method in METHODS:
        found = answers[method]
        row = {"method": method, "items": items, "queries": len(found["top1"]), "around": around, **measured[method]}
        row["top1_agreement"] = (found["top1"] == truth["top1"]).mean()
        row["radius_agreement"] = (np.abs(found["exact"] - truth["exact"]) <= CLOSE).mean()
        rows.append(row | {"certified": found["certified"].mean()})
    return pd.DataFrame(rows)


def _fresh(task: str, argument: str, folder: Path) -> dict:
    """What a process of its own prints at the end."""
    command = [sys.executable, "-m", "bench.million", "--task", task, "--folder", str(folder)]
    command += ["--items", argument] if argument else []
    where = {**os.environ, "PYTHONPATH": str(REPO / "tests")}
    return json.loads(subprocess.run(command, env=where, check=True, capture_output=True, text=True).stdout)


def _make(items: int, folder: Path) -> dict[str, str]:
    """Write the gallery, a block after the other, and the queries."""
    images, texts, around = _base()
    texts[:QUERIES].astype(np.float16).tofile(folder / "texts.f16")
    (folder / "dim").write_text(str(images.shape[1]))
    noise = NOISE * np.linalg.norm(images, axis=1, keepdims=True) / np.sqrt(images.shape[1])
    with open(folder / "images.f16", "wb") as file:
        for number, start in enumerate(range(0, items, BLOCK)):
            picked = np.arange(start, min(start + BLOCK, items)) % len(images)
            rng = np.random.default_rng([SEED, number])
            made = images[picked] + noise[picked] * rng.standard_normal((len(picked), images.shape[1]), np.float32)
            made.astype(np.float16).tofile(file)
    return {"around": around}


def _base() -> tuple[np.ndarray, np.ndarray, str]:
    """Images and captions to build on, and what they are."""
    mirror = Path(os.environ.get("OVERTOP_MIRROR", REPO.parent / "shared" / "data"))
    files = [mirror / "embeddings" / f"flickr8k_{split}_openai_clip_vitb32.npz" for split in ("test", "val")]
    if all(file.is_file() for file in files):
        real = [np.load(file) for file in files]
        images, texts = (np.concatenate([part[side] for part in real]) for side in ("image", "text"))
        return images.astype(np.float32), texts.astype(np.float32), f"{len(images)} CLIP ViT-B/32 embeddings"
    from bench.embeddings import embeddings

    images, texts = (side.read(0, 0, side.n_items) for side in embeddings(2000, 2000, 1, 512))
    return images, texts, "2000 seeded embeddings"


def _answer(method: str, folder: Path) -> dict[str, float]:
    """Rank the gallery for every caption, and measure how far each may move."""
    import torch  # noqa: F401  before FAISS, so that both share one set of threads

    from overtop.radius.exact import boundary
    from overtop.radius.geometry import Space
    from overtop.retrieval.approximate import search
    from overtop.retrieval.exact import rank

    dim = int((folder / "dim").read_text())
    images, texts = FileSource(folder / "images.f16", dim), FileSource(folder / "texts.f16", dim)
    start = time.perf_counter(), time.process_time()
    if method == "stream":
        ranking = rank(images, texts, TOP, vote_top=1, device="cpu")["t2i"]
    else:
        ranking = search(images, texts, TOP, vote_top=1, index=method, directions=["t2i"], device="cpu")["t2i"]
    ranked = time.perf_counter(), time.process_time()
    # What a graph missed nobody knows: its radius is judged by what it found.
    found = boundary(Space(texts, images, ranking, "cpu"), beyond=method != "hnsw")
    measured = time.perf_counter(), time.process_time()
    np.savez(folder / f"{method}.npz", top1=ranking.top_ids[:, 0], exact=found.exact, certified=found.certified)
    return {
        "ranking_s": ranked[0] - start[0],
        "ranking_cpu_s": ranked[1] - start[1],
        "radius_s": measured[0] - ranked[0],
        "radius_cpu_s": measured[1] - ranked[1],
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> float:
    """The most this process ever held; `ru_maxrss` would start at its parent's."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024 / MB


def main() -> None:
    """Measure, write the table and print it; or do one part of that in a process of its own."""
    parser = argparse.ArgumentParser(prog="bench.million", description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000, help="size of the gallery")
    parser.add_argument("--folder", type=Path, default=Path("results/bench"), help="where the table goes")
    parser.add_argument("--task", choices=("make", *METHODS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task == "make":
        print(json.dumps(_make(options.items, options.folder)))
    elif options.task:
        print(json.dumps(_answer(options.task, options.folder)))
    else:
        from overtop.storage.files import write_table

        table = run(options.items)
        write_table(options.folder / "million.csv", table)
        print(table.to_string(index=False))


if __name__ == "__main__":
    main()
