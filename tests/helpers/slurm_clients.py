"""Programs that answer like Slurm's clients."""

from collections.abc import Mapping
from pathlib import Path

NODE = "main|2|64000|gpu:2(S:0)\n"
PARTITION = "PartitionName=main Default=YES MaxTime=1-00:00:00 MaxMemPerNode=UNLIMITED State=UP"


def write_clients(folder: Path, answers: Mapping[str, str] | None = None) -> Path:
    """Write sbatch, sinfo, squeue, scontrol and sacct as shell scripts; `answers` replaces what they print.

    An answer that starts with `!` is shell code.
    """
    config = "AccountingStorageType = accounting_storage/none"
    partition = f'!case "$*" in *config*) echo "{config}";; *) echo "{PARTITION}";; esac'
    printed = {"sbatch": "", "sinfo": NODE, "squeue": "", "scontrol": partition, "sacct": ""} | dict(answers or {})
    folder.mkdir(exist_ok=True)
    for name, answer in printed.items():
        code = answer[1:] if answer.startswith("!") else f"cat <<'END'\n{answer.rstrip()}\nEND" if answer else ":"
        (folder / name).write_text(f"#!/bin/sh\n{code}\n")
        (folder / name).chmod(0o755)
    return folder
