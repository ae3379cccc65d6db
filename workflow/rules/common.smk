# What several rules share: the checked configuration, look-ups in it, and the shards of a posterior.
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil
from snakemake.logging import logger

SCRIPTS = Path(workflow.basedir).parent / "scripts"
# The library of this checkout, whatever is installed in the environment.
sys.path.insert(0, str(SCRIPTS))

from overtop.config.base import NAME_PATTERN, POSTERIOR_PATTERN
from overtop.errors import OvertopError, did_you_mean
from overtop.estimators.registry import get_estimator
from overtop.pipeline import answers, paths, reports
from overtop.pipeline import robustness as studies
from overtop.pipeline.banks import find_bank
from overtop.pipeline.checkout import check_checkout, share_library
from overtop.pipeline.command_line import stop
from overtop.pipeline.config_files import COMMAND_LINE, OF_WORKFLOW, ConfigFile
from overtop.pipeline.config_files import find_origin, read_config_files
from overtop.pipeline.fits import find_fit
from overtop.pipeline.loading import load_config
from overtop.pipeline.needs import request
from overtop.pipeline.run_lock import hold_folder, remove_stale_lock
from overtop.pipeline.stages import script_versions
from overtop.terms import IMPORTED, MODALITIES, PROTOCOLS


def is_started_by_user():
    """False in the processes that executors start."""
    return workflow.is_main_process and not workflow.remote_exec


def files_of_config():
    """What was merged into `config`, to name the file of a wrong key."""
    given = workflow.config_settings
    here = Path.cwd()
    names = [
        path.relative_to(here) if path.is_relative_to(here) else path
        for path in given.configfiles
    ]
    return [
        *read_config_files([*OF_WORKFLOW, *names]),
        ConfigFile(COMMAND_LINE, given.config),
    ]


try:
    check_checkout(SCRIPTS)
    files = files_of_config() if is_started_by_user() else []
    settings = load_config(dict(config), files)
except OvertopError as error:
    stop(error)

share_library(SCRIPTS)
VERSIONS = script_versions(SCRIPTS)


def log_file(rule_name, tail):
    return f"logs/{rule_name}/{tail}.log"


def benchmark_file(rule_name, tail):
    return f"benchmarks/{rule_name}/{tail}.tsv"


def check_at_start(check, *arguments):
    """Make a check of a run that a user starts, and end the run if it fails."""
    if is_started_by_user():
        try:
            check(*arguments)
        except OvertopError as error:
            stop(error)


def hold_run_lock():
    """Refuse to run beside another run, whose lock was removed."""
    check_at_start(hold_folder)


def data_folder(wildcards):
    """The data folder, as a params function: lint takes the plain string for the prefix of an output."""
    return paths.DATA


def plain(model):
    """A section of the configuration as plain values: a change of any of them reruns the rule."""
    return model.model_dump(mode="json")


def look_up(section, wildcards):
    """The entry of a section that the wildcard of its name selects, as in `encoders` and `{encoder}`."""
    entries = getattr(settings, section)
    singular = section.removesuffix("s")
    name = getattr(wildcards, singular if hasattr(wildcards, singular) else section)
    if name not in entries:
        raise OvertopError(
            f"config.yaml: {section} has no {name!r}; {did_you_mean(name, entries)}"
        )
    return entries[name]


def entry(section):
    """A params function: the selected entry of a section, as plain values."""
    return lambda wildcards: plain(look_up(section, wildcards))


def look_up_stored(wildcards):
    """The entry of a data set that has its own files."""
    spec = look_up("datasets", wildcards)
    if spec.kind == "variant":
        raise OvertopError(
            f"config.yaml: datasets.{wildcards.dataset} is a variant, which has the files of its base and no results "
            f"of this rule; replace {wildcards.dataset!r} with {spec.of!r} in the target"
        )
    return spec


def source_record(wildcards):
    """The record of the raw files of a split; a variant has those of its base."""
    look_up("datasets", wildcards)
    return paths.SOURCE.format(
        dataset=settings.base_of(wildcards.dataset), split=wildcards.split
    )


def field(section, name):
    """A params function: one field of the selected entry of a section."""
    return lambda wildcards: getattr(look_up(section, wildcards), name)


def split_and_shards(wildcards, shards_of):
    """The manifest of a split, and its shards of each modality by `shards_of(modality)`."""
    look_up("datasets", wildcards)
    shards = {modality: shards_of(modality) for modality in MODALITIES}
    return {"split": paths.SPLIT.format(**wildcards), **shards}


def posterior_on_split(wildcards):
    """The manifest of a split, and the shards of a posterior on it."""
    posterior = look_up("posteriors", wildcards)
    return split_and_shards(
        wildcards,
        lambda modality: paths.posterior_shards(
            settings, wildcards.dataset, wildcards.split, posterior, modality
        ),
    )


def locate(key, location):
    """The existing file or folder of the items of an answer, or the end of the run."""
    try:
        return answers.locate(settings, key, location)
    except OvertopError as error:
        raise OvertopError(f"{find_origin(files, str(error))}: {error}") from None


def fitted_temperatures(wildcards):
    """The file of the fitted temperatures; none if the configuration gives a number."""
    if settings.temperature.softmax != "fitted":
        return []
    names = dict(wildcards) | {
        "dataset": settings.base_of(wildcards.dataset),
        "split": settings.temperature.fit_split,
    }
    return paths.TEMPERATURES.format(**names)


def table_files(pattern):
    """An input function: one file per data set and posterior of a table."""

    def files(wildcards):
        table = look_up("tables", wildcards)
        return paths.for_posteriors(
            pattern, table.datasets, table.split, table.posteriors
        )

    return files


def as_params(views_of):
    """A params function: the views of a study as plain values."""
    return lambda wildcards: [view._asdict() for view in views_of(wildcards)]


def check_encoders_with_open_clip():
    """Check architectures and tags before the first job; importing open_clip takes seconds, so dry runs skip it."""
    if not is_started_by_user():
        return
    from overtop.pipeline.encoder_checks import check_encoders

    check_at_start(check_encoders, settings, files)


def describe_results():
    """What the targets show, and what to try next: the last words of a run."""
    from overtop.pipeline.summary import NEXT, summarise_run

    named = sorted(workflow.dag_settings.targets)
    lines = summarise_run(settings.targets if named in ([], ["all"]) else named)
    return lines if workflow.config_settings.configfiles else [*lines, NEXT]


def stop_on_sigterm():
    """Interrupt the jobs on this machine, as Ctrl-C does: Snakemake would wait for their end, and for all retries."""
    let_jobs_end = signal.getsignal(signal.SIGTERM)

    def interrupt(*arguments):
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGINT)
        # It waits for the scheduler's lock, which this thread may hold.
        threading.Thread(target=let_jobs_end, args=arguments, daemon=True).start()

    signal.signal(signal.SIGTERM, interrupt)


if is_started_by_user():
    for handler in workflow.logger_manager.get_log_handlers():
        if hasattr(handler, "screen"):
            handler.screen.describe_results = describe_results
    is_run = (
        workflow.output_settings is not None and not workflow.output_settings.dryrun
    )
    if is_run and remove_stale_lock():
        logger.warning("removed the lock that a killed run left; no other run is alive")
