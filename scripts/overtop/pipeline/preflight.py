"""Checks before the first job is submitted to Slurm: does it answer, and could it start every job of the run?"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from overtop.errors import OvertopError, did_you_mean
from overtop.pipeline import slurm
from overtop.pipeline.slurm import PROFILE, Partition
from overtop.pipeline.slurm_queue import jobs_of, read_queue


class Request(NamedTuple):
    """What a job of a rule requests: a partition, CPUs, memory in MB, minutes, GPUs."""

    rule: str
    partition: str
    cpus: int
    mem_mb: int
    runtime: int
    gpus: int


def find_problems(folder: Path, requests: Iterable[Request]) -> list[str]:
    """Why the jobs of a run should not be submitted, one line each; none if all is well.

    Args:
        folder: the working directory.
        requests: the requests of all jobs, with memory and run time of their last attempt.
    """
    try:
        running = {job.number: job.name for job in jobs_of(folder, read_queue())}
        partitions = slurm.read_partitions()
        age = slurm.MIN_JOB_AGE if slurm.keeps_accounts() else slurm.read_min_job_age()
    except OvertopError as error:
        return [str(error)]
    problems = [_still_running(running)] if running else []
    if age < slurm.MIN_JOB_AGE:
        problems.append(
            f"Slurm has no accounting and forgets finished jobs after {age} s, so that Snakemake would wait for ever; "
            f"ask its administrators for accounting or MinJobAge={slurm.MIN_JOB_AGE}"
        )
    return problems + check_requests(requests, partitions)


def _still_running(running: Mapping[str, str]) -> str:
    shown = ", ".join(f"{number} {name}" for number, name in list(running.items())[:5])
    more = f" and {len(running) - 5} more" if len(running) > 5 else ""
    return (
        f"{len(running)} jobs of this folder are in the queue, from a Snakemake that was killed: {shown}{more}; wait "
        f"for them (their files are kept), or end them with `scancel {' '.join(running)}`; then the same command again"
    )


def check_requests(requests: Iterable[Request], partitions: Mapping[str, Partition]) -> list[str]:
    """Requests that no node of their partition can satisfy, and that would wait for ever: one line for each limit."""
    largest: dict[tuple[str, str], Request] = {}
    for request in requests:
        # The largest request for each key of the profile and partition stands for all.
        for key in ("cpus", "mem_mb", "runtime", "gpus"):
            best = largest.setdefault((request.partition, key), request)
            if getattr(request, key) > getattr(best, key):
                largest[request.partition, key] = request
    problems = []
    for name in sorted({partition for partition, _ in largest}):
        if name and name not in partitions:
            hint = did_you_mean(name, partitions)
            problems.append(f"Slurm has no partition {name!r}; {hint}; set slurm_partition in {PROFILE}")
            continue
        for key in ("cpus", "mem_mb", "runtime", "gpus"):
            limit = _limit(partitions, name, key)
            request = largest[name, key]
            if limit is not None and getattr(request, key) > limit:
                problems.append(_exceeds(request, key, limit))
    return problems


def _limit(partitions: Mapping[str, Partition], name: str, key: str) -> int | None:
    """The most that a job may request in a partition, None if unlimited or if the cluster chooses the partition."""
    if name not in partitions:
        return None
    partition = partitions[name]
    if key == "runtime":
        return partition.runtime
    most = max((getattr(node, key) for node in partition.nodes), default=0)
    return min(most, partition.mem_mb) if key == "mem_mb" and partition.mem_mb else most


def _exceeds(request: Request, key: str, limit: int) -> str:
    unit, setting = {
        "cpus": (" CPUs", f"max-threads: {limit}"),
        "mem_mb": (" MB", f"mem_mb: {limit}` under `resources"),
        "runtime": (" minutes", f"runtime: {limit}` under `resources"),
        "gpus": (" GPUs", f"gpu: {limit}` in the line of `&on_gpu"),
    }[key]
    return (
        f"rule {request.rule} may request {getattr(request, key)}{unit}, partition {request.partition} has "
        f"{limit}{unit} for a job; choose another partition, or set `{setting}` in {PROFILE}"
    )


def check_arrays(requests: Iterable[Request], jobs: int, gpus: int | None) -> list[str]:
    """Limits under which a run with job arrays would wait for ever, at most one line.

    The executor plugin (2.8) waits until all jobs of a rule that are ready are also selected, which a limit prevents.

    Args:
        requests: the requests of all jobs.
        jobs: the limit of jobs in the queue.
        gpus: the limit of GPUs in use, None without one.
    """
    needed = list(requests)
    n_gpus = sum(request.gpus for request in needed)
    if len(needed) <= jobs and (gpus is None or n_gpus <= gpus):
        return []
    options = f"--jobs {len(needed)} --resources gpu={n_gpus}"
    return [f"with --slurm-array-jobs all jobs of a rule have to fit into the limits at once: add `{options}`"]
