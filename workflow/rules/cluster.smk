# Jobs on a cluster: checks before the first submission, which failed jobs are retried, and records of their files.
import asyncio
import time

import snakemake_executor_plugin_slurm as slurm_executor
from snakemake.jobs import GroupJob, Job
from snakemake.persistence import PersistenceBase

from overtop.pipeline import slurm
from overtop.pipeline.kills import describe_kills
from overtop.pipeline.needs import MANY_CORES
from overtop.pipeline.preflight import Request, check_arrays, find_problems
from overtop.pipeline.job_logs import is_permanent
from overtop.pipeline.slurm_queue import QueueWatch

RUN_STARTED = time.time()


def is_on_slurm():
    """Whether this process is the one that submits jobs to Slurm."""
    executor = workflow.executor_plugin
    return is_started_by_user() and executor.name == "slurm"


def largest_request(job):
    """What a job requests in its last attempt."""
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
    requests = [largest_request(job) for job in jobs]
    problems = find_problems(Path.cwd(), requests)
    if workflow.executor_settings.array_jobs:
        gpus = workflow.global_resources.get("gpu")
        problems += check_arrays(requests, workflow.nodes, gpus and gpus.value)
    if problems:
        stop(OvertopError("\n".join(problems)))
    if slurm.keeps_accounts():
        workflow.executor_settings.status_command = "sacct"
    else:
        # While the controller does not answer, the executor would try sacct, which then never answers.
        slurm_executor.get_min_job_age = lambda: slurm.MIN_JOB_AGE
    slurm_executor.query_job_status = until_answered(slurm_executor.query_job_status)
    slurm_executor.Executor.check_active_jobs = with_queue_watch(
        slurm_executor.Executor.check_active_jobs
    )


def until_answered(query):
    """Query the state of jobs until Slurm answers: the executor forgets its jobs after five failures in a second."""

    async def states(command, logger):
        answer = await query(command, logger)
        while answer == (None, None) and workflow.scheduler._executor.wait:
            logger.warning("Slurm does not answer; trying again in 10 s.")
            await asyncio.sleep(10)
            answer = await query(command, logger)
        return answer

    return states


def with_queue_watch(check):
    """Check jobs after a look at the queue: print those that Slurm holds, and report those that it lost as failed."""
    watch = QueueWatch(Path.cwd())

    async def check_active_jobs(executor, active):
        numbers = [job.external_jobid for job in active]
        held, lost = await asyncio.to_thread(watch.look, numbers)
        for line in held:
            logger.warning(line)
        if workflow.executor_settings.status_command == "sacct":
            lost = set()  # the accounts list finished jobs for longer than the queue
        for job in active:
            if job.external_jobid in lost:
                message = f"Slurm lists job {job.external_jobid} no more: it is lost. "
                executor.report_job_error(job, msg=message)
        remaining = [job for job in active if job.external_jobid not in lost]
        async for job in check(executor, remaining):
            yield job

    return check_active_jobs


def print_kills():
    """Print which jobs Slurm killed, and the cause."""
    if is_on_slurm():
        for line in describe_kills(RUN_STARTED):
            logger.warning(line)


def unless_permanent(restart_times):
    """The number of retries of a job: none after an error in its input."""

    def of_job(job):
        jobs = job.jobs if job.is_group() else [job]
        failed = (is_permanent(each.log, RUN_STARTED) for each in jobs)
        return 0 if any(failed) else restart_times(job)

    return property(of_job)


def with_record(finished):
    """Record the provenance of files where they are written: in the process of a job on a cluster."""

    async def record(persistence, job):
        flow = persistence.dag.workflow
        settings = flow.remote_execution_settings
        # The only setting under which such a process writes records; the innermost of a job's processes is enough.
        settings.immediate_submit = flow.local_exec
        await finished(persistence, job)
        settings.immediate_submit = False

    return record


# Snakemake has no hook for either.
if is_started_by_user():
    Job.restart_times = unless_permanent(Job.restart_times.fget)
    GroupJob.restart_times = unless_permanent(GroupJob.restart_times.fget)
elif workflow.remote_exec:
    # If the submitting process is killed, nothing else records the files of running jobs, and no change would rerun them.
    PersistenceBase.finished = with_record(PersistenceBase.finished)

if workflow.resource_settings.nodes is not None:
    # Jobs have the CPUs of the cluster's nodes (max-threads in the profile), not those of the machine that submits.
    workflow.global_resources["_cores"] = MANY_CORES
