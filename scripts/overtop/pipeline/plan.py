"""What a run would do and cost, before anything is run: `python -m overtop.pipeline.plan TARGET...`, or `make plan`."""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from overtop.config.model import Config
from overtop.errors import OvertopError
from overtop.pipeline.command_line import stop
from overtop.pipeline.costs import (
    CARDS,
    DECODED_PER_SECOND,
    DECODING_CPUS,
    START_SECONDS,
    Passes,
    count_passes,
    disk_use,
    gpu_hours,
)
from overtop.pipeline.dag import Plan, PlannedJob, count_submissions, plan_jobs
from overtop.pipeline.loading import load_config
from overtop.pipeline.preflight import PROFILE, Request, check_requests
from overtop.pipeline.slurm import Partition, read_partitions


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the plan of the targets on the command line."""
    parser = argparse.ArgumentParser(prog="python -m overtop.pipeline.plan", description=__doc__)
    parser.add_argument("targets", nargs="*", help="files, as for snakemake; by default its default targets")
    parser.add_argument("--configfile", nargs="+", type=Path, default=[], help="as for snakemake")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="as for snakemake")
    options = parser.parse_args(arguments)
    try:
        plan = plan_jobs(options.targets, options.configfile, options.config)
        profile = yaml.safe_load(Path(PROFILE).read_text(encoding="utf-8"))
        print("\n".join(describe_plan(plan, load_config(plan.config), profile)))
    except OvertopError as error:
        stop(error)


def describe_plan(plan: Plan, config: Config, profile: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the plan.

    Args:
        plan: the jobs.
        config: the configuration.
        profile: that of Slurm.
    """
    if not plan.jobs:
        yield "nothing to do"
        return
    passes, unknown = count_passes(plan.jobs, config)
    yield from _table(["rule", "jobs", "where", "CPUs", "GPUs", "MB", "minutes"], _rules(plan.jobs))
    submitted = sum(not job.is_local for job in plan.jobs)
    submissions = count_submissions(plan.jobs, profile.get("groups", {}))
    yield f"{len(plan.jobs)} jobs: {len(plan.jobs) - submitted} where snakemake runs, {submitted} on a cluster"
    yield f"{submissions} submissions, with the groups of {PROFILE}"
    if passes:
        yield ""
        yield from _table(["encoder", "sampling", "loads", "images", "captions"], _passes(passes))
        yield from _hours(passes, config)
    for split in unknown:
        yield f"not counted: {split}, whose size is not declared (`expect`)"
    others = sorted({job.rule for job in plan.jobs if job.gpus and job.rule != "embed"})
    if others:
        yield f"not in the hours: {', '.join(others)}"
    disk = [[name, f"{size:.1f}", note] for name, size, note in disk_use(plan.jobs, passes, config)]
    if disk:
        yield ""
        yield from _table(["disk", "GB", ""], disk)
    yield ""
    yield from _limits(plan.jobs, profile)


def _rules(jobs: Sequence[PlannedJob]) -> Iterator[list[str]]:
    """Rows of the rules: their jobs, and the most that one of them asks for."""
    for rule in dict.fromkeys(job.rule for job in jobs):
        of_rule = [job for job in jobs if job.rule == rule]
        most = [max(getattr(job, key) for job in of_rule) for key in ("cpus", "gpus", "mem_mb", "runtime")]
        where = "here" if of_rule[0].is_local else "cluster"
        yield [rule, str(len(of_rule)), where, *(str(number or "") for number in most)]


def _passes(passes: Sequence[Passes]) -> Iterator[list[str]]:
    """Rows of the encoders, and their sum."""
    for row in passes:
        sampling = "dropout" if row.is_dropout else "one pass"
        yield [row.encoder, sampling, str(row.jobs), f"{row.images:,}", f"{row.captions:,}"]
    jobs, images, captions = (sum(getattr(row, key) for row in passes) for key in ("jobs", "images", "captions"))
    yield ["all", "", str(jobs), f"{images:,}", f"{captions:,}"]


def _hours(passes: Sequence[Passes], config: Config) -> Iterator[str]:
    """Lines with the hours of each card."""
    precision = config.embedding.precision
    if unknown := sorted({row.architecture for row in passes if row.network is None}):
        yield f"not in the hours: encoders of architecture {', '.join(unknown)}, whose operations are not known"
    for name, card in CARDS.items():
        hours = gpu_hours(passes, card, precision != "fp32")
        rate = card.fp32 if precision == "fp32" else card.half
        shown = f"{hours.computing:.1f} h computing, {hours.held:.1f} h held"
        yield f"{name}, {precision}: {shown} (assumed: {rate} TFLOP/s)"
    yield (
        f"held: {START_SECONDS} s to start each job (assumed), and images decoded by {DECODING_CPUS} CPUs (assumed), "
        f"{DECODED_PER_SECOND} a second each (measured)"
    )


def _limits(jobs: Sequence[PlannedJob], profile: Mapping[str, Any]) -> Iterator[str]:
    """Lines with the requests beyond the limits of a partition, if Slurm is here."""
    try:
        partitions: dict[str, Partition] = read_partitions()
    except OvertopError as error:
        yield f"limits of partitions not checked: {error}"
        return
    default = profile.get("default-resources", {})

    def partition_of(job: PlannedJob) -> str:
        return str((default | profile.get("set-resources", {}).get(job.rule, {})).get("slurm_partition", ""))

    requests = [
        Request(job.rule, partition_of(job), job.cpus, job.mem_mb, job.runtime, job.gpus)
        for job in jobs
        if not job.is_local
    ]
    yield from check_requests(requests, partitions) or ["no first attempt asks for more than its partition has"]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of an aligned table: the first column and texts to the left, numbers to the right."""
    cells = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [all(row[column][:1].isdigit() or not row[column] for row in cells[1:]) for column in range(len(header))]
    for row in cells:
        aligned = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        yield "  ".join(aligned).rstrip()


if __name__ == "__main__":
    main()
