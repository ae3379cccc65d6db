"""Time and memory of the radius stage next to those of the ranking pass that it follows, at a size of Table 1."""

import json
import sys
import time

import pandas as pd

from bench.processes import PROCESS_STATUS, resident_memory_mb, run_in_fresh_process
from bench.ranking_pass import CPU, rank_embeddings
from bench.sizes import BenchmarkSizes
from bench.synthetic_embeddings import make_embeddings
from bench.targets import PartResult, check_target
from overtop.radius.compute import compute_radii

MAX_RATIO = 1.0


def run(sizes: BenchmarkSizes) -> PartResult:
    """Rank and compute the radii once, in a fresh process, in both directions and under both protocols."""
    captions, images = sizes.radius_shape
    row = run_in_fresh_process("bench.radius_speed", captions, images, sizes.radius_samples, sizes.dim)
    table = pd.DataFrame([row]).assign(cpu_s_over_ranking=row["radius_cpu_s"] / row["ranking_cpu_s"])
    name = (
        f"radius of both protocols, {captions} x {images} x {sizes.radius_samples} samples, CPU time over the ranking's"
    )
    return PartResult({"radius": table}, [check_target(name, table["cpu_s_over_ranking"][0], "at most", MAX_RATIO)])


def main(captions: int, images: int, samples: int, dim: int) -> None:
    """Rank and compute the radii, and print seconds and memory as JSON."""
    sources = make_embeddings(captions, images, samples, dim)
    row: dict[str, float] = {"captions": captions, "images": images, "samples": samples, "dim": dim}
    start, cpu = time.perf_counter(), time.process_time()
    rankings = rank_embeddings(*sources)
    row |= {"ranking_s": time.perf_counter() - start, "ranking_cpu_s": time.process_time() - cpu}
    row |= {"ranked_mb": _peak_memory_mb()}
    start, cpu = time.perf_counter(), time.process_time()
    radii = compute_radii(*sources, rankings, device=CPU)
    row |= {"radius_s": time.perf_counter() - start, "radius_cpu_s": time.process_time() - cpu}
    row |= {"peak_mb": _peak_memory_mb()}
    for direction, both in radii.items():
        row[f"certified_{direction}"] = float(both.corrected.certified.mean())
    print(json.dumps(row))


def _peak_memory_mb() -> float:
    """Return the peak resident memory so far, in MB; NaN where only Linux would report it."""
    return resident_memory_mb("VmHWM") if PROCESS_STATUS.is_file() else float("nan")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
