"""Time, memory and agreement of three searches in a gallery of a million items: streamed exact, FAISS flat, FAISS HNSW.

The gallery is made of CLIP embeddings of Flickr8k where the folder OVERTOP_MIRROR contains them, else of synthetic
ones: each item is one of them plus noise, such that two items around one embedding have a cosine of 0.8, as real images
have with their nearest neighbours. Items are stored as float16 and read in blocks. Each search is a fresh process.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from bench.processes import resident_memory_mb, run_in_fresh_process
from bench.ranking_pass import CPU, TOP
from bench.sizes import BenchmarkSizes
from bench.synthetic_embeddings import make_embeddings
from bench.targets import PartResult, check_target
from overtop.radius.exact import boundary_distances
from overtop.radius.geometry import Space
from overtop.retrieval.approximate import search
from overtop.retrieval.exact import rank

REPO = Path(__file__).resolve().parents[2]
METHODS = ("stream", "flat", "hnsw")
MAX_PEAK_GB = 4
NOISE_RATIO = 0.5
"""Norm of the noise over that of the embedding; two items around one embedding have a cosine of 1 / (1 + ratio^2)."""
QUERIES = 1000
BLOCK_ITEMS = 8192
SEED = 7
RADIUS_TOLERANCE = 1e-5


class Float16FileSource:
    """An `EmbeddingSource` of one sample that reads a file of float16 rows and holds none of it in memory."""

    n_samples = 1

    def __init__(self, path: Path, dim: int) -> None:
        self._path = path
        self.dims = (dim,)
        self.n_items = path.stat().st_size // (2 * dim)
        self.item_ids = [str(i) for i in range(self.n_items)]

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        dim = self.dims[0]
        rows = np.fromfile(self._path, np.float16, count=(stop - start) * dim, offset=2 * start * dim)
        return rows.reshape(-1, dim).astype(np.float32)


def run(sizes: BenchmarkSizes) -> PartResult:
    """Search a large gallery with every method; the checked figure is the largest peak memory."""
    table = compare_methods(sizes.large_gallery)
    largest = table.loc[table["peak_mb"].idxmax()]
    name = f"gallery of {sizes.large_gallery:,} items, largest peak memory ({largest['method']})"
    return PartResult(
        {"million": table}, [check_target(name, largest["peak_mb"] / 1024, "at most", MAX_PEAK_GB, " GB")]
    )


def compare_methods(items: int) -> pd.DataFrame:
    """Return one row per method: its time and memory, and how often its answers equal those of the streamed search."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        origin = _run_task("make", folder, items)["around"]
        measurements = {method: _run_task(method, folder, items) for method in METHODS}
        answers = {method: dict(np.load(folder / f"{method}.npz")) for method in METHODS}
    expected = answers["stream"]
    rows = []
    for method, answer in answers.items():
        row = {"method": method, "items": items, "queries": len(answer["top1"]), "around": origin}
        row |= measurements[method]
        row["top1_agreement"] = (answer["top1"] == expected["top1"]).mean()
        row["radius_agreement"] = (np.abs(answer["exact"] - expected["exact"]) <= RADIUS_TOLERANCE).mean()
        rows.append(row | {"certified": answer["certified"].mean()})
    return pd.DataFrame(rows)


def _run_task(task: str, folder: Path, items: int) -> dict:
    return run_in_fresh_process("bench.large_gallery", task, folder, items)


def write_inputs(folder: Path, items: int) -> dict[str, str]:
    """Write the gallery block by block and the queries, and return the origin of the embeddings."""
    images, texts, origin = _base_embeddings()
    texts[:QUERIES].astype(np.float16).tofile(folder / "texts.f16")
    (folder / "dim").write_text(str(images.shape[1]))
    noise = NOISE_RATIO * np.linalg.norm(images, axis=1, keepdims=True) / np.sqrt(images.shape[1])
    with open(folder / "images.f16", "wb") as file:
        for number, start in enumerate(range(0, items, BLOCK_ITEMS)):
            base = np.arange(start, min(start + BLOCK_ITEMS, items)) % len(images)
            rng = np.random.default_rng([SEED, number])
            rows = images[base] + noise[base] * rng.standard_normal((len(base), images.shape[1]), np.float32)
            rows.astype(np.float16).tofile(file)
    return {"around": origin}


def _base_embeddings() -> tuple[np.ndarray, np.ndarray, str]:
    """Return image and caption embeddings to build on, and a description of their origin."""
    mirror = Path(os.environ.get("OVERTOP_MIRROR", REPO.parent / "shared" / "data"))
    files = [mirror / "embeddings" / f"flickr8k_{split}_openai_clip_vitb32.npz" for split in ("test", "val")]
    if all(file.is_file() for file in files):
        parts = [np.load(file) for file in files]
        images, texts = (np.concatenate([part[modality] for part in parts]) for modality in ("image", "text"))
        return images.astype(np.float32), texts.astype(np.float32), f"{len(images)} CLIP ViT-B/32 embeddings"
    images, texts = (source.read(0, 0, source.n_items) for source in make_embeddings(2000, 2000, 1, 512))
    return images, texts, "2000 seeded embeddings"


def _measure_method(method: str, folder: Path) -> dict[str, float]:
    """Rank the gallery for every caption, compute the exact radii, write both and return time and memory."""
    dim = int((folder / "dim").read_text())
    images, texts = Float16FileSource(folder / "images.f16", dim), Float16FileSource(folder / "texts.f16", dim)
    start = time.perf_counter(), time.process_time()
    if method == "stream":
        ranking = rank(images, texts, TOP, vote_top=1, device=CPU)["t2i"]
    else:
        ranking = search(images, texts, TOP, vote_top=1, index=method, directions=["t2i"], device=CPU)["t2i"]
    ranked = time.perf_counter(), time.process_time()
    # An HNSW index may miss rivals, so its radii consider only the items that it returned.
    radii = boundary_distances(Space(texts, images, ranking, CPU, scan_gallery=method != "hnsw"))
    end = time.perf_counter(), time.process_time()
    np.savez(folder / f"{method}.npz", top1=ranking.top_ids[:, 0], exact=radii.exact, certified=radii.certified)
    return {
        "ranking_s": ranked[0] - start[0],
        "ranking_cpu_s": ranked[1] - start[1],
        "radius_s": end[0] - ranked[0],
        "radius_cpu_s": end[1] - ranked[1],
        "peak_mb": resident_memory_mb("VmHWM"),
    }


def main() -> None:
    """Carry out one task of `compare_methods` and print its result as JSON."""
    parser = argparse.ArgumentParser(prog="bench.large_gallery")
    parser.add_argument("task", choices=("make", *METHODS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("items", type=int)
    options = parser.parse_args()
    if options.task == "make":
        result = write_inputs(options.folder, options.items)
    else:
        result = _measure_method(options.task, options.folder)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
