"""Description of the machine that the benchmark runs on."""

import os
import platform
import re
from functools import cache
from pathlib import Path

import torch

from bench.timing import time_interleaved

NATIVE_SPEEDUP = 1.2
"""bfloat16 counts as native where its matrix product is at least this many times as fast as the float32 one."""


def describe_machine() -> str:
    """Return one line: processor, cores, threads, torch, whether bfloat16 is native (measured), GPU."""
    speedup = bfloat16_speedup()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    native = "native" if speedup >= NATIVE_SPEEDUP else "not native"
    return (
        f"{_processor_name()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"bfloat16 {native} (product {speedup:.2f} times as fast as float32), {gpu}"
    )


@cache
def bfloat16_speedup() -> float:
    """Measure the time of a float32 matrix product on the CPU over that of the same product in bfloat16."""
    left, right = torch.randn(1024, 768), torch.randn(768, 1024)
    left16, right16 = left.bfloat16(), right.bfloat16()
    times = time_interleaved({"float32": lambda: left @ right, "bfloat16": lambda: left16 @ right16}, 3)["min_s"]
    return times["float32"] / times["bfloat16"]


def load_average() -> str:
    """Return the mean number of running and waiting tasks over the last minute, this process included."""
    return f"{os.getloadavg()[0]:.1f}"


def _processor_name() -> str:
    info = Path("/proc/cpuinfo")
    match = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.is_file() else None
    return match[1] if match else platform.processor() or platform.machine()
