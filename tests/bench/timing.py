"""Timing of several calls in turn."""

import time
from collections.abc import Callable, Mapping

import pandas as pd


def time_interleaved(calls: Mapping[str, Callable[[], object]], repeats: int) -> pd.DataFrame:
    """Time several calls in turn (a, b, a, b, ...), so that other load on the machine affects all of them alike.

    Args:
        calls: by name; each is called once more at the start to warm up.
        repeats: how often each call is timed.

    Returns:
        One row per call, indexed by name: `min_s` and `median_s`, seconds of wall-clock time; `cpu_s`, median seconds
        of this process's CPU time over all threads (much less than threads x wall-clock time means that other
        processes occupied the cores); `repeats`.
    """
    measurements = []
    for number in range(repeats + 1):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            measurements.append((number, name, time.perf_counter() - wall, time.process_time() - cpu))
    timed = pd.DataFrame(measurements, columns=["round", "name", "wall", "cpu"]).query("round > 0")
    return timed.groupby("name", sort=False).agg(
        min_s=("wall", "min"), median_s=("wall", "median"), cpu_s=("cpu", "median"), repeats=("wall", "size")
    )
