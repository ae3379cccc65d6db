"""The jobs that a run of some targets would start, from Snakemake's own graph; nothing is run."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from snakemake.api import SnakemakeApi
from snakemake.cli import parse_config
from snakemake.exceptions import RuleException, WorkflowError
from snakemake.jobs import Job as SnakemakeJob
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    DeploymentSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
    StorageSettings,
    WorkflowSettings,
)
from snakemake.workflow import Workflow

from overtop.errors import OvertopError
from overtop.pipeline.config_files import OF_WORKFLOW, read_config_files
from overtop.pipeline.needs import MANY_CORES

SNAKEFILE = "workflow/Snakefile"


class PlannedJob(NamedTuple):
    """One job, with what its first attempt asks for.

    Attributes:
        rule: its name.
        wildcards: by name.
        is_local: whether it runs where Snakemake runs.
        cpus: threads.
        mem_mb: memory in MB, 0 if its rule asks for none.
        runtime: minutes, 0 if its rule asks for none.
        gpus: GPUs.
        inputs: its input files.
        outputs: its output files.
    """

    rule: str
    wildcards: Mapping[str, str]
    is_local: bool
    cpus: int
    mem_mb: int
    runtime: int
    gpus: int
    inputs: frozenset[str]
    outputs: frozenset[str]


class Plan(NamedTuple):
    """Jobs in an order in which they can run, and the configuration as Snakemake merged it."""

    jobs: list[PlannedJob]
    config: dict[str, Any]


def plan_jobs(targets: Sequence[str], configfiles: Sequence[Path], overrides: Sequence[str]) -> Plan:
    """Return the jobs that are needed for some targets. Call it in the root folder of the project.

    Args:
        targets: files, as for `snakemake`; none for the default targets.
        configfiles: further configuration files, as for `snakemake --configfile`.
        overrides: `KEY=VALUE` pairs, as for `snakemake --config`.

    Raises:
        OvertopError: there is no workflow here, the configuration is wrong, or nothing makes a target.
    """
    if not Path(SNAKEFILE).is_file():
        raise OvertopError(f"{SNAKEFILE} does not exist; run the command in the root folder of the project")
    read_config_files([*OF_WORKFLOW, *configfiles])
    with SnakemakeApi(OutputSettings(dryrun=True, quiet={Quietness.ALL})) as api:
        workflow = Workflow(
            ConfigSettings(configfiles=list(configfiles), config=parse_config(list(overrides))),
            ResourceSettings(cores=MANY_CORES),
            WorkflowSettings(),
            api.logger_manager,
            StorageSettings(),
            DAGSettings(targets=set(targets)),
            deployment_settings=DeploymentSettings(),
            storage_provider_settings={},
        )
        try:
            workflow.include(SNAKEFILE, overwrite_default_target=True)
            # Like Snakemake's own commands that only read the graph, such as `--summary`.
            workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True, nolock=True)
            workflow._build_dag()
        except (RuleException, WorkflowError) as error:
            raise OvertopError(" ".join(str(error).split())) from None
        except SystemExit as end:
            if isinstance(end.__cause__, OvertopError):  # as the Snakefile ends a run
                raise end.__cause__ from None
            raise
        jobs = [_describe(job, workflow) for level in workflow.dag.toposorted() for job in level]
        return Plan([job for job in jobs if job is not None], workflow.globals["config"])


def _describe(job: SnakemakeJob, workflow: Workflow) -> PlannedJob | None:
    """Return what is known of a job, None if nothing needs it or it does nothing."""
    if not workflow.dag.needrun(job) or job.is_norun:
        return None
    asked = {name: job.resources.get(name, 0) for name in ("mem_mb", "runtime", "gpu")}
    numbers = {name: value if isinstance(value, int) else 0 for name, value in asked.items()}
    return PlannedJob(
        job.rule.name,
        dict(job.wildcards_dict),
        job.rule.name in workflow._localrules,
        job.threads,
        numbers["mem_mb"],
        numbers["runtime"],
        numbers["gpu"],
        frozenset(map(str, job.input)),
        frozenset(map(str, job.output)),
    )


def count_submissions(jobs: Iterable[PlannedJob], groups: Mapping[str, str]) -> int:
    """Return the number of jobs that a cluster gets: connected jobs of one group are one.

    Args:
        jobs: in an order in which they can run.
        groups: group by rule, as in a profile.
    """
    leader: dict[str, int] = {}  # by output of a grouped job: the first job of its component
    parent: list[int] = []
    count = 0
    for number, job in enumerate(job for job in jobs if not job.is_local):
        parent.append(number)
        count += 1
        if (group := groups.get(job.rule)) is None:
            continue
        for path in job.inputs:
            if (other := leader.get(f"{group}:{path}")) is not None:
                roots = _root(parent, other), _root(parent, number)
                count -= roots[0] != roots[1]
                parent[max(roots)] = min(roots)
        leader |= {f"{group}:{path}": number for path in job.outputs}
    return count


def _root(parent: list[int], number: int) -> int:
    """Return the first job of a component."""
    while parent[number] != number:
        number = parent[number]
    return number
