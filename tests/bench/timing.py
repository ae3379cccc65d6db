"""How long calls take, next to each other."""

import time
from collections.abc import Callable, Mapping

import pandas as pd


def interleaved(calls: Mapping[str, Callable[[], object]], repeats: int) -> pd.DataFrame:
    """Time several calls in turn (a, b, a, b, ...), so that what else the machine does strikes all of them.

    Args:
        calls: by name; each is called once more beforehand to warm up.
        repeats: how often each is timed.

    Returns:
        One row per call, indexed by its name: `min_s`, `median_s` of the wall clock; `cpu_s`, the median of this
        process's processor time over all threads (well below threads x wall time where other work took the cores);
        `repeats`.
    """
    rounds = []
    for number in range(repeats + 1):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            rounds.append((number, name, time.perf_counter() - wall, time.process_time() - cpu))
    timed = pd.DataFrame(rounds, columns=["round", "name", "wall", "cpu"]).query("round > 0")
    return timed.groupby("name", sort=False).agg(
        min_s=("wall", "min"), median_s=("wall", "median"), cpu_s=("cpu", "median"), repeats=("wall", "size")
    )
