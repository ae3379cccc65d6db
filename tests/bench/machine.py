"""Which machine the figures were measured on."""

import os
import platform
import re
from functools import cache
from pathlib import Path

import torch

from bench.timing import interleaved

NATIVE = 1.2
"""A bfloat16 product this many times as fast as the float32 one is done by the processor itself."""


def describe() -> str:
    """One line: processor, cores, threads, torch, whether bfloat16 is native (measured), the device."""
    gain = bfloat16_gain()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    native = "native" if gain >= NATIVE else "not native"
    return (
        f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"bfloat16 {native} (product {gain:.2f} times as fast as float32), {device}"
    )


@cache
def bfloat16_gain() -> float:
    """How many times as fast as the float32 product the bfloat16 product of the same shape is, on the CPU."""
    left, right = torch.randn(1024, 768), torch.randn(768, 1024)
    low, low_right = left.bfloat16(), right.bfloat16()
    times = interleaved({"float32": lambda: left @ right, "bfloat16": lambda: low @ low_right}, 3)["min_s"]
    return times["float32"] / times["bfloat16"]


def load() -> str:
    """The load average over one minute: how many tasks ran or wanted to, this one included."""
    return f"{os.getloadavg()[0]:.1f}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.is_file() else None
    return found[1] if found else platform.processor() or platform.machine()
