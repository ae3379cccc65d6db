# Jobs on a cluster: what they are submitted with, checks before the first of them, and which are tried again.
import time

from snakemake.jobs import GroupJob, Job
from snakemake.persistence import PersistenceBase

from overtop.pipeline import slurm
from overtop.pipeline.kills import describe_kills
from overtop.pipeline.preflight import Request, find_problems
from overtop.pipeline.retries import is_permanent

RUN_STARTED = time.time()


def is_on_slurm():
    """Whether this process is the one that submits jobs to Slurm."""
    executor = workflow.executor_plugin
    return is_started_by_user() and executor.name == "slurm"


def largest_request(job):
    """What a job asks for in its last attempt."""
    asked = job.rule.expand_resources(
        job.wildcards_dict,
        job.input,
        workflow.execution_settings.retries + 1,
        skip_evaluation={"tmpdir"},
    )
    return Request(
        job.rule.name,
        str(asked.get("slurm_partition", "")),
        *(asked.get(name, 0) for name in ("_cores", "mem_mb", "runtime", "gpu")),
    )


def check_slurm():
    """End the run before the first job, with one line for each reason why Slurm could not run it."""
    if not is_on_slurm():
        return
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    problems = find_problems(Path.cwd(), map(largest_request, jobs))
    if problems:
        raise WorkflowError("\n" + "\n".join(problems))
    workflow.executor_settings.status_command = (
        "sacct" if slurm.keeps_accounts() else "squeue"
    )


def print_kills():
    """Say which jobs Slurm killed, and for what."""
    if is_on_slurm():
        for line in describe_kills(RUN_STARTED):
            print(f"overtop: {line}", file=sys.stderr)


def without_permanent(restart_times):
    """How often a failed job is tried again: not at all after an error in its input."""

    def of_job(job):
        jobs = job.jobs if job.is_group() else [job]
        is_hopeless = any(
            is_permanent(each.rule.name, each.log, RUN_STARTED) for each in jobs
        )
        return 0 if is_hopeless else restart_times(job)

    return property(of_job)


def recorded(finished):
    """What makes a file's record, also in the process of a job on a cluster."""

    async def record(persistence, job):
        flow = persistence.dag.workflow
        settings = flow.remote_execution_settings
        # The one setting under which such a process writes records; the outer one of each job need not do it again.
        settings.immediate_submit = flow.local_exec
        await finished(persistence, job)
        settings.immediate_submit = False

    return record


# Snakemake has no hook for either.
if is_started_by_user():
    Job.restart_times = without_permanent(Job.restart_times.fget)
    GroupJob.restart_times = without_permanent(GroupJob.restart_times.fget)
elif workflow.remote_exec:
    # Otherwise files that jobs finish after a kill of the submitting process have no record, and no change reruns them.
    PersistenceBase.finished = recorded(PersistenceBase.finished)

if workflow.resource_settings.nodes is not None:
    # Jobs have the CPUs of the cluster's nodes (max-threads in the profile), not those of the machine that submits.
    workflow.global_resources["_cores"] = 1024
