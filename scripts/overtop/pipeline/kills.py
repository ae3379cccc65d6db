"""Jobs that Slurm killed, and the cause: only Slurm's own logs contain it."""

import re
from pathlib import Path

from overtop.pipeline.slurm import PROFILE

LOGS = Path(".snakemake/slurm_logs")

CAUSES = {
    "memory": re.compile(r"Exceeded job memory limit|oom.kill|out.of.memory handler", re.IGNORECASE),
    "run time": re.compile(r"DUE TO TIME LIMIT"),
    "a failure of its node": re.compile(r"DUE TO NODE FAILURE"),
}
"""Pattern of each cause in a log."""

RESOURCES = {"memory": "mem_mb", "run time": "runtime"}
"""The resource of which a job requested too little, by cause."""


def describe_kills(since: float, logs: Path = LOGS) -> list[str]:
    """One line for each job that Slurm killed for memory, for run time, or with its node.

    Args:
        since: start of the run in seconds since the epoch; older logs are of earlier runs.
        logs: the folder with Slurm's logs, of `{rule}/{wildcards}/{job}.log`; those of successful jobs are deleted.
    """
    files = (path for path in sorted(logs.rglob("*.log")) if path.stat().st_mtime >= since)
    return [line for path in files for line in _describe(path, logs)]


def _describe(path: Path, logs: Path) -> list[str]:
    text = path.read_text(errors="replace")
    cause = next((name for name, pattern in CAUSES.items() if pattern.search(text)), None)
    if cause is None:
        return []
    kind, *wildcards = path.relative_to(logs).parent.parts
    job = "/".join([kind.removeprefix("rule_").removeprefix("group_"), *wildcards])
    return [f"{job} (Slurm job {path.stem}) was killed for {cause}{_describe_request(cause, text)}; log: {path}"]


def _describe_request(cause: str, text: str) -> str:
    """How much of a resource the killed job requested, and how to request more."""
    rules = re.findall(r"^(?:local)?rule (\w+):", text, re.MULTILINE)
    resource = RESOURCES.get(cause)
    requested = re.findall(rf"\b{resource}=(\d+)", text)
    if not rules or not requested:
        return ""
    requests = f"it requested {resource}={requested[-1]}, the next attempt more, up to the profile's limit"
    return f": {requests}; to set it, add `{rules[-1]}: {{{resource}: N}}` under `set-resources` in {PROFILE}"
