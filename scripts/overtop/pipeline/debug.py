"""The job of a rule script that is started by hand, built from the workflow.

Snakemake is imported here and in `dag`, and nowhere else in the library; jobs that Snakemake starts import neither.
"""

import argparse
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.cli import parse_config
from snakemake.dag import DAG
from snakemake.jobs import Job as SnakemakeJob
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    DeploymentSettings,
    OutputSettings,
    ResourceSettings,
    StorageSettings,
    WorkflowSettings,
)
from snakemake.workflow import Workflow

from overtop.errors import OvertopError
from overtop.pipeline.command_line import stop
from overtop.pipeline.config_files import OF_WORKFLOW, read_config_files
from overtop.pipeline.dag import SNAKEFILE


class DebugJob:
    """A job with the attributes of Snakemake's `snakemake` object."""

    def __init__(self, job: SnakemakeJob, workflow: Workflow) -> None:
        self.input = job.input
        self.output = job.output
        self.params = job.params
        self.wildcards = job.wildcards
        self.log = job.log
        self.threads = job.threads
        self.config = workflow.globals["config"]


def job_from_command_line(script: str) -> DebugJob:
    """The job that writes the file named on the command line; bad usage ends the process.

    Args:
        script: file name of the rule script.
    """
    parser = argparse.ArgumentParser(prog=f"python scripts/{script}", description="Run one job of the rule by hand.")
    parser.add_argument("target", help="a file that the rule writes; its inputs must exist")
    parser.add_argument("--configfile", nargs="+", type=Path, default=[], help="as for snakemake")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="as for snakemake")
    options = parser.parse_args()
    try:
        return build_job(options.target, script, options.configfile, options.config)
    except OvertopError as error:
        stop(error)


def build_job(target: str, script: str, configfiles: list[Path], overrides: list[str]) -> DebugJob:
    """The job of `script` that writes `target`, with input, params and threads as Snakemake would set them.

    Nothing is run and no file is checked. Call it in the root folder of the project.

    Args:
        target: path of one output of the job.
        script: file name of the rule script.
        configfiles: further configuration files, as for `snakemake --configfile`.
        overrides: `KEY=VALUE` pairs, as for `snakemake --config`.

    Raises:
        OvertopError: there is no workflow here, or no rule with that script writes `target`.
    """
    if not Path(SNAKEFILE).is_file():
        raise OvertopError(f"{SNAKEFILE} does not exist; run the script in the root folder of the project")
    read_config_files([*OF_WORKFLOW, *configfiles])
    with SnakemakeApi(OutputSettings()) as api:
        workflow = Workflow(
            ConfigSettings(configfiles=configfiles, config=parse_config(overrides)),
            ResourceSettings(cores=1),
            WorkflowSettings(),
            api.logger_manager,
            StorageSettings(),
            DAGSettings(),
            deployment_settings=DeploymentSettings(),
            storage_provider_settings={},
        )
        workflow.include(SNAKEFILE)
        rules = [rule for rule in workflow.rules if rule.is_producer(target) and Path(rule.script or "").name == script]
        if len(rules) != 1:
            raise OvertopError(f"{target} is not written by scripts/{script}; name one of the files that it writes")
        job = SnakemakeJob(rules[0], DAG(workflow, rules=rules), rules[0].get_wildcards(target))
        return DebugJob(job, workflow)
