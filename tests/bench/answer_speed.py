"""Time and memory of answering new queries from a prepared gallery of a million items.

The bare computation multiplies the queries with the stored unit vectors in blocks and finds the best item of each
query. An answer also needs the ten best items, the softmax over the gallery, and with a bank one normalisation of it.
The gallery is made as that of `bench.large_gallery`. Everything is measured in a process that only answers.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from bench.large_gallery import QUERIES, Float16FileSource, write_inputs
from bench.processes import MB, PROCESS_STATUS, resident_memory_mb, run_in_fresh_process
from bench.ranking_pass import CPU
from bench.sizes import BenchmarkSizes
from bench.targets import PartResult, TargetCheck, check_target, not_applicable
from bench.timing import time_interleaved
from overtop.memory import blocks
from overtop.retrieval.prepared import PreparedGallery, open_gallery, prepare_gallery, rank_queries
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.sources import SelectedItems
from overtop.retrieval.vectors import read_unit_vectors
from overtop.storage.shards import ArraySource, EmbeddingSource
from overtop.terms import SOFTMAX_TEMPERATURE

TOP = 10
BANK, BANK_SIZE = "bank_nnn", 200
GALLERY = "gallery"
BLOCK_ITEMS = 2048
REPEATS = 3
BARE, PLAIN, WITH_BANK = "product and top-1", "answers", f"answers with {BANK}"
READ, ONE_BARE, ONE_PLAIN, ONE_WITH_BANK = (
    "read the gallery",
    "product and top-1 of one query",
    "one answer",
    f"one answer with {BANK}",
)
MAX_RATIO = 1.5
MAX_LATENCY_RATIO = 2.0
MAX_EXTRA_MB = 384


def run(sizes: BenchmarkSizes) -> PartResult:
    """Time answers to many queries and to one relative to the bare computation, and measure the memory of answering."""
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder), sizes.large_gallery)
        facts = {task: run_in_fresh_process("bench.answer_speed", task, folder) for task in TASKS}
    times = pd.DataFrame(facts["time"]["rows"])
    checks = [*_speed_checks(times.set_index("name"), sizes.large_gallery), _memory_check(facts["memory"])]
    return PartResult(
        {"answers": times.assign(items=sizes.large_gallery, **facts["prepare"], **facts["memory"])}, checks
    )


def _speed_checks(times: pd.DataFrame, items: int) -> list[TargetCheck]:
    """Compare the time of answers to many queries and to one with that of the bare computation."""
    many = f"{{}} to {QUERIES:,} queries from {items:,} items, time over that of the bare product and top-1"
    one = f"{{}} from {items:,} items, time over that of the bare product and top-1 of one query"
    shortest = times["min_s"]
    return [
        *(check_target(many.format(x), shortest[x] / shortest[BARE], "at most", MAX_RATIO) for x in (PLAIN, WITH_BANK)),
        *(
            check_target(one.format(x), shortest[x] / shortest[ONE_BARE], "at most", MAX_LATENCY_RATIO)
            for x in (ONE_PLAIN, ONE_WITH_BANK)
        ),
    ]


def _memory_check(memory: dict[str, float]) -> TargetCheck:
    name = (
        f"answers, peak memory beyond {memory['baseline_mb']:,.0f} MB before and {memory['gallery_mb']:,.0f} MB of "
        "unit vectors"
    )
    if not PROCESS_STATUS.is_file():
        return not_applicable(name, f"at most {MAX_EXTRA_MB} MB", "only Linux reports the peak memory of a process")
    return check_target(
        name, memory["peak_mb"] - memory["baseline_mb"] - memory["gallery_mb"], "at most", MAX_EXTRA_MB, " MB"
    )


def _prepare(folder: Path) -> dict[str, float]:
    """Prepare the gallery with a bank, of which only the offsets matter here, and return what that cost."""
    dim = int((folder / "dim").read_text())
    images, texts = (Float16FileSource(folder / f"{name}.f16", dim) for name in ("images", "texts"))
    start = time.perf_counter(), time.process_time()
    prepare_gallery(images, folder / GALLERY, bank=SelectedItems(texts, np.arange(BANK_SIZE)), device=CPU)
    return {"prepare_s": time.perf_counter() - start[0], "prepare_cpu_s": time.process_time() - start[1]}


def _open(folder: Path) -> tuple[PreparedGallery, EmbeddingSource]:
    """Return the prepared gallery, and the queries in memory."""
    gallery = open_gallery(folder / GALLERY)
    texts = Float16FileSource(folder / "texts.f16", gallery.dims[0])
    return gallery, ArraySource([texts.read(0, 0, texts.n_items)])


def _answer(gallery: PreparedGallery, queries: EmbeddingSource, normalisations: tuple[str, ...]) -> Ranking:
    """Rank the gallery with what an answer needs."""
    return rank_queries(gallery, queries, TOP, [SOFTMAX_TEMPERATURE], normalisations=normalisations, device=CPU)


def _measure_memory(folder: Path) -> dict[str, float]:
    """Answer all queries once and return the peak memory of this process and what it was before."""
    baseline = resident_memory_mb("VmRSS") if PROCESS_STATUS.is_file() else np.nan
    gallery, queries = _open(folder)
    _answer(gallery, queries, (BANK,))
    peak = resident_memory_mb("VmHWM") if PROCESS_STATUS.is_file() else np.nan
    units = 4 * gallery.items.items.source.n_items * sum(gallery.dims) / MB
    return {"baseline_mb": baseline, "peak_mb": peak, "gallery_mb": units}


def _measure_times(folder: Path) -> dict[str, Any]:
    gallery, queries = _open(folder)
    one = SelectedItems(queries, np.arange(1))
    query = read_unit_vectors(one, 0, slice(0, 1), CPU)[0]
    units = read_unit_vectors(gallery.items.items.source, 0, gallery.items.all, CPU)
    calls: dict[str, Callable[[], object]] = {
        BARE: lambda: _multiply(units, read_unit_vectors(queries, 0, slice(0, queries.n_items), CPU)),
        PLAIN: lambda: _answer(gallery, queries, ()),
        WITH_BANK: lambda: _answer(gallery, queries, (BANK,)),
    }
    of_one: dict[str, Callable[[], object]] = {
        READ: units.sum,
        ONE_BARE: lambda: torch.mv(units, query).max(dim=0),
        ONE_PLAIN: lambda: _answer(gallery, one, ()),
        ONE_WITH_BANK: lambda: _answer(gallery, one, (BANK,)),
    }
    times = pd.concat([time_interleaved(calls, REPEATS), time_interleaved(of_one, 2 * REPEATS)])
    return {"rows": times.reset_index().to_dict("records")}


def _multiply(units: torch.Tensor, queries: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the best similarity of each query and its item, by products in blocks of the gallery."""
    best, item = torch.full((len(queries),), -torch.inf), torch.zeros(len(queries), dtype=torch.int64)
    buffer = torch.empty(len(queries), BLOCK_ITEMS)
    for part in blocks(len(units), 1, BLOCK_ITEMS):
        similarities = buffer[:, : part.stop - part.start]
        torch.mm(queries, units[part].T, out=similarities)
        score, column = similarities.max(dim=1)
        item = torch.where(score > best, column + part.start, item)
        best = torch.maximum(best, score)
    return best, item


TASKS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "prepare": _prepare,
    "memory": _measure_memory,
    "time": _measure_times,
}


def main() -> None:
    """Carry out one task of `run` and print its result as JSON."""
    parser = argparse.ArgumentParser(prog="bench.answer_speed")
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    print(json.dumps(TASKS[options.task](options.folder)))


if __name__ == "__main__":
    main()
