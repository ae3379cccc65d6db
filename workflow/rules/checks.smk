# Checks of what is asked for: targets before the graph is built, and what its jobs would fetch before the first starts.
import re

from snakemake.exceptions import MissingInputException, RuleException, WorkflowError
from snakemake.io import strip_wildcard_constraints

from overtop.pipeline.downloads import (
    check_disk,
    describe_downloads,
    pending_downloads,
)
from overtop.pipeline.job_logs import ended_with_error
from overtop.pipeline.targets import Output, check_targets


def rule_outputs():
    """What all rules write."""
    return [
        Output(
            each.name, strip_wildcard_constraints(output), re.compile(output.regex())
        )
        for each in workflow.rules
        for output in each.output
    ]


def jobs_to_run(rule):
    """The jobs of a rule that a run has still to do."""
    return [job for job in workflow.dag.needrun_jobs() if job.rule.name == rule]


def splits_to_fetch():
    """For each data set and split whose files a job would fetch, a target that needs it."""
    return {
        (job.wildcards.dataset, job.wildcards.split): target_of(job)
        for job in jobs_to_run("fetch")
    }


def target_of(job):
    """The last file that is made from what a job writes."""
    later = next((each for each in workflow.dag.depending[job] if each.output), None)
    return job.output[0] if later is None else target_of(later)


def check_splits(splits):
    """Check the sources of splits; importing what reads tables takes a second, so only if a split is fetched."""
    from overtop.pipeline.source_checks import check_sources

    check_sources(settings, splits, files)


def find_refusal(error):
    """The error in the input that is the cause of one of Snakemake's, if there is one."""
    if isinstance(error, MissingInputException):
        return missing_weights(str(error))
    while error is not None and not isinstance(error, OvertopError):
        error = error.__cause__ or error.__context__
    return error


def missing_weights(message):
    """The error that a file with weights is missing, if Snakemake's message names it."""
    for name, encoder in settings.encoders.items():
        path = encoder.checkpoint
        if path and path in message and not Path(path).exists():
            line = (
                f"encoders.{name}.checkpoint: {path} does not exist; correct the path"
            )
            return OvertopError(f"{find_origin(files, line)}: {line}")
    return None


def checked(build):
    """Build the graph of jobs; end the run with one line for each mistake in what is asked for."""

    def build_and_check():
        names = [each.name for each in workflow.rules]
        targets = sorted(workflow.dag_settings.targets) or settings.targets
        try:
            check_targets(settings, targets, rule_outputs(), names)
            build()
            if splits := splits_to_fetch():
                check_splits(splits)
        except (OvertopError, RuleException, WorkflowError) as error:
            if refusal := find_refusal(error):
                stop(refusal)
            raise

    return build_and_check


if is_started_by_user():
    # Snakemake has no hook between the graph and the first job, and a dry run has none at all.
    workflow._build_dag = checked(workflow._build_dag)


def downloading_jobs():
    """The jobs of this run that fetch data sets from `sources`, and those that download weights."""
    fetching = [
        job
        for job in jobs_to_run("fetch")
        if settings.stored_dataset(job.wildcards.dataset).source_names()
    ]
    return fetching, jobs_to_run("weights")


def missing_downloads(fetching, weighing):
    """What the jobs of a run would download."""
    splits = [(job.wildcards.dataset, job.wildcards.split) for job in fetching]
    encoders = [job.wildcards.encoder for job in weighing]
    return pending_downloads(settings, splits, encoders, Path(paths.DATA))


def check_downloads():
    """End the run before the first download if the disk has no room for all of them."""
    if is_started_by_user():
        missing = missing_downloads(*downloading_jobs())
        check_at_start(check_disk, missing, Path(paths.DATA))


def print_missing_downloads():
    """After a failed download: one list of all files that are missing, with their addresses."""
    if is_started_by_user():
        jobs = downloading_jobs()
        if any(ended_with_error(job.log, RUN_STARTED) for of in jobs for job in of):
            for line in describe_downloads(missing_downloads(*jobs)):
                logger.warning(line)
