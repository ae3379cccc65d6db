"""Measurements in a fresh process, whose peak memory is not affected by what ran before."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

MB = 2**20
PROCESS_STATUS = Path("/proc/self/status")
"""Where Linux reports the memory of a process; other systems have no such file."""


def run_in_fresh_process(module: str, *arguments: object) -> dict[str, Any]:
    """Run `python -m MODULE ARGUMENTS` and return the JSON object that it prints."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    search_path = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(search_path)}
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def resident_memory_mb(field: Literal["VmRSS", "VmHWM"]) -> float:
    """Return the current (`VmRSS`) or the peak (`VmHWM`) resident memory of this process in MB.

    `resource.getrusage` would not do: `ru_maxrss` of a child process starts at the size of its parent.
    """
    lines = dict(line.split(":", 1) for line in PROCESS_STATUS.read_text().splitlines())
    return int(lines[field].split()[0]) * 1024 / MB
