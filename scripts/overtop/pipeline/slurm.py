"""Queries to Slurm: its partitions, and whether accounting works."""

import re
import shutil
import subprocess
from collections import defaultdict
from typing import NamedTuple

from overtop.errors import OvertopError

PROFILE = "workflow/profiles/slurm/config.yaml"

TIMEOUT = 5
"""Limit of a command in seconds; without a controller it retries for longer."""


MIN_JOB_AGE = 200
"""Seconds for which `squeue` has to list finished jobs: Snakemake looks every three minutes."""


class Node(NamedTuple):
    """CPUs, memory in MB and GPUs of a node."""

    cpus: int
    mem_mb: int
    gpus: int


class Partition(NamedTuple):
    """Limits of a partition for one job, None if unlimited: minutes, and MB on a node; and its different nodes."""

    runtime: int | None
    mem_mb: int | None
    nodes: tuple[Node, ...]


def read(*command: str) -> str:
    """The output of a Slurm command.

    Raises:
        OvertopError: There is no Slurm, or its controller does not answer.
    """
    if shutil.which("sbatch") is None:
        raise OvertopError("no Slurm on this machine (no sbatch); leave out --profile slurm, or start on a login node")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except FileNotFoundError:
        raise OvertopError(f"Slurm without {command[0]} on this machine; start on a login node") from None
    except subprocess.TimeoutExpired:
        raise OvertopError(f"Slurm's controller does not answer ({command[0]}, {TIMEOUT} s); try later") from None
    if done.returncode:
        reason = (done.stderr.strip() or "no message").splitlines()[-1]
        raise OvertopError(f"Slurm's controller does not answer ({reason}); try later")
    return done.stdout


def read_partitions() -> dict[str, Partition]:
    """The partitions by name."""
    nodes = defaultdict(list)
    for line in read("sinfo", "--noheader", "--exact", "--format=%R|%c|%m|%G").splitlines():
        name, cpus, memory, gres = line.split("|")
        nodes[name].append(Node(int(cpus.rstrip("+")), int(memory.rstrip("+")), _count_gpus(gres)))
    partitions = {}
    for line in read("scontrol", "show", "partition", "--oneliner").splitlines():
        fields = dict(field.split("=", 1) for field in line.split() if "=" in field)
        if "PartitionName" not in fields:
            continue
        name, memory = fields["PartitionName"], fields.get("MaxMemPerNode", "UNLIMITED")
        limit = int(memory) if memory.isdigit() and memory != "0" else None
        partitions[name] = Partition(parse_minutes(fields.get("MaxTime", "UNLIMITED")), limit, tuple(nodes[name]))
    return partitions


def _count_gpus(gres: str) -> int:
    """The GPUs in `gpu:2` or `gpu:a100:4(S:0-1),nvme:1`."""
    counts = re.findall(r"(?:^|,)gpu(?::[^,:(]+)??(?::(\d+))?(?=[,(]|$)", gres)
    return sum(int(count or 1) for count in counts)


def parse_minutes(time: str) -> int | None:
    """Minutes of a time limit such as `30:00`, `4:00:00` or `1-00:00:00`; None if unlimited."""
    if not time[0].isdigit():
        return None
    days, _, clock = time.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if days:
        hours, minutes = [*parts, 0][:2]
    elif len(parts) == 3:
        hours, minutes = parts[:2]
    else:
        hours, minutes = 0, parts[0]
    return (int(days or 0) * 24 + hours) * 60 + minutes


def read_min_job_age() -> int:
    """Seconds for which `squeue` lists finished jobs."""
    found = re.search(r"^MinJobAge\s*=\s*(\d+)", read("scontrol", "show", "config"), re.MULTILINE)
    return int(found[1]) if found else MIN_JOB_AGE


def keeps_accounts() -> bool:
    """Whether `sacct` reports finished jobs; without a database it prints nothing, and a run would wait for ever."""
    try:
        if "accounting_storage/slurmdbd" not in read("scontrol", "show", "config"):
            return False
        read("sacct", "--allocations", "--noheader", "--starttime=now")
    except OvertopError:
        return False
    return True
