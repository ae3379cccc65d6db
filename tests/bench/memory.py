"""Does the peak memory of the ranking pass depend on the number of queries, beyond the answers themselves?

Each run has a fresh process, whose embeddings are made as they are read: a whole modality is nowhere.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from bench.bars import Outcome, bar, not_applicable
from bench.passes import ranked
from bench.size import Size

LIMIT_MB = 32
MB = 2**20
BLOCK = 512
STATUS = Path("/proc/self/status")
NAME = "peak memory of the ranking pass beyond its output, growth from {} to {} captions"


class MadeAsRead:
    """An `EmbeddingSource` of Gaussian embeddings, seeded block by block."""

    def __init__(self, side: int, items: int, samples: int, dim: int) -> None:
        self._side = side
        self.item_ids = [str(i) for i in range(items)]
        self.dims = (dim,) * samples

    @property
    def n_samples(self) -> int:
        return len(self.dims)

    @property
    def n_items(self) -> int:
        return len(self.item_ids)

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        first, last = start // BLOCK, -(-stop // BLOCK)
        made = np.empty(((last - first) * BLOCK, self.dims[sample]), dtype=np.float32)
        for number in range(first, last):
            rng = np.random.default_rng([self._side, sample, number])
            rng.standard_normal(dtype=np.float32, out=made[(number - first) * BLOCK :][:BLOCK])
        return made[start - first * BLOCK : stop - first * BLOCK]


def run(size: Size) -> Outcome:
    """Compare the peaks of two runs of different numbers of captions."""
    name = NAME.format(*size.memory)
    if not STATUS.is_file():
        return Outcome({}, [not_applicable(name, f"at most {LIMIT_MB} MB", "only Linux tells a process's peak")])
    rows = [_measured(captions, size.images, size.growth_samples, size.dim) for captions in size.memory]
    table = pd.DataFrame(rows)
    small, large = table["beyond_output_mb"]
    return Outcome({"memory": table}, [bar(name, large - small, "at most", LIMIT_MB, " MB")])


def _measured(captions: int, images: int, samples: int, dim: int) -> dict[str, float]:
    """The row that a fresh process reports."""
    # The peak is the process's own: `ru_maxrss` of a child starts at its parent's size.
    command = [sys.executable, "-m", "bench.memory", *map(str, (captions, images, samples, dim))]
    where = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return json.loads(subprocess.run(command, env=where, check=True, capture_output=True, text=True).stdout)


def _resident(field: str) -> float:
    """`VmRSS`, what this process holds, or `VmHWM`, the most it ever held, in MB."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(lines[field].split()[0]) * 1024 / MB


def main(captions: int, images: int, samples: int, dim: int) -> None:
    """Rank once and print what it took."""
    import torch  # noqa: F401  the baseline counts the library in

    sides = MadeAsRead(0, images, samples, dim), MadeAsRead(1, captions, samples, dim)
    baseline = _resident("VmRSS")
    rankings = ranked(*sides)
    peak = _resident("VmHWM")
    arrays = [value for ranking in rankings.values() for value in vars(ranking).values()]
    output = sum(array.nbytes for array in arrays if isinstance(array, np.ndarray)) / MB
    row = {"captions": captions, "images": images, "samples": samples, "dim": dim}
    row |= {"baseline_mb": baseline, "peak_mb": peak, "output_mb": output}
    print(json.dumps(row | {"beyond_output_mb": peak - baseline - output}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
