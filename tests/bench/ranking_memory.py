"""Growth of the ranking pass's peak memory with the number of queries, its output not counted.

Each run is a fresh process and generates its embeddings when they are read, so that no modality is ever in memory as
a whole.
"""

import json
import sys

import numpy as np
import pandas as pd

from bench.processes import MB, PROCESS_STATUS, resident_memory_mb, run_in_fresh_process
from bench.ranking_pass import rank_embeddings
from bench.sizes import BenchmarkSizes
from bench.targets import PartResult, check_target, not_applicable

MAX_GROWTH_MB = 32
BLOCK_ITEMS = 512


class GeneratedSource:
    """An `EmbeddingSource` of Gaussian embeddings that are generated when read, each block from its own seed."""

    def __init__(self, seed: int, items: int, samples: int, dim: int) -> None:
        self._seed = seed
        self.n_items = items
        self.n_samples = samples
        self.item_ids = [str(i) for i in range(items)]
        self.dims = (dim,) * samples

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        first, last = start // BLOCK_ITEMS, -(-stop // BLOCK_ITEMS)
        rows = np.empty(((last - first) * BLOCK_ITEMS, self.dims[sample]), dtype=np.float32)
        for number in range(first, last):
            rng = np.random.default_rng([self._seed, sample, number])
            rng.standard_normal(dtype=np.float32, out=rows[(number - first) * BLOCK_ITEMS :][:BLOCK_ITEMS])
        return rows[start - first * BLOCK_ITEMS : stop - first * BLOCK_ITEMS]


def run(sizes: BenchmarkSizes) -> PartResult:
    """Compare the peak memory of two runs with different numbers of captions."""
    few, many = sizes.memory_captions
    name = f"ranking pass, growth of the peak memory without its output from {few} to {many} captions"
    if not PROCESS_STATUS.is_file():
        reason = "only Linux reports the peak memory of a process"
        return PartResult({}, [not_applicable(name, f"at most {MAX_GROWTH_MB} MB", reason)])
    shape = sizes.images, sizes.scaling_samples, sizes.dim
    table = pd.DataFrame([run_in_fresh_process("bench.ranking_memory", captions, *shape) for captions in (few, many)])
    before, after = table["beyond_output_mb"]
    return PartResult({"memory": table}, [check_target(name, after - before, "at most", MAX_GROWTH_MB, " MB")])


def main(captions: int, images: int, samples: int, dim: int) -> None:
    """Rank once and print the memory that it took as JSON."""
    sources = GeneratedSource(0, images, samples, dim), GeneratedSource(1, captions, samples, dim)
    baseline = resident_memory_mb("VmRSS")
    rankings = rank_embeddings(*sources)
    peak = resident_memory_mb("VmHWM")
    arrays = [value for ranking in rankings.values() for value in vars(ranking).values()]
    output = sum(array.nbytes for array in arrays if isinstance(array, np.ndarray)) / MB
    row = {"captions": captions, "images": images, "samples": samples, "dim": dim}
    row |= {"baseline_mb": baseline, "peak_mb": peak, "output_mb": output}
    print(json.dumps(row | {"beyond_output_mb": peak - baseline - output}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
