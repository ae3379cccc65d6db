"""Which jobs Slurm killed, and for what: its logs say it, Snakemake's do not."""

import re
from pathlib import Path

LOGS = Path(".snakemake/slurm_logs")

CAUSES = {
    "memory": re.compile(r"Exceeded job memory limit|oom.kill|out.of.memory handler", re.IGNORECASE),
    "run time": re.compile(r"DUE TO TIME LIMIT"),
    "a failure of its node": re.compile(r"DUE TO NODE FAILURE"),
}
"""What the logs say of each cause."""

RESOURCES = {"memory": "mem_mb", "run time": "runtime"}
"""The resource of which a job asked too little, by cause."""


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
    name = "/".join([kind.removeprefix("rule_").removeprefix("group_"), *wildcards])
    resource = RESOURCES.get(cause)
    asked = max(map(int, re.findall(rf"\b{resource}=(\d+)", text)), default=None) if resource else None
    hint = f", {resource}={asked}; its next attempt asks for more, up to the limits in the profile" if asked else ""
    return [f"{name} (job {path.stem}) was killed for {cause}{hint}; log: {path}"]
