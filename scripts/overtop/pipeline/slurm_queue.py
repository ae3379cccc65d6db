"""The jobs in Slurm's queue, and what Snakemake does not see there: jobs that are held, and jobs that are lost."""

import getpass
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from overtop.errors import OvertopError
from overtop.pipeline.slurm import read


class QueuedJob(NamedTuple):
    """A job in the queue.

    Attributes:
        number: its id; tasks of an array have `12_3`, those that wait share `12_[1-5]`.
        folder: the folder it was submitted from.
        comment: rule and wildcards, if Snakemake submitted it.
        reason: why it waits, as Slurm says it; `None` in words if it does not wait.
    """

    number: str
    folder: str
    comment: str
    reason: str

    @property
    def name(self) -> str:
        """Rule and wildcards."""
        return self.comment.removeprefix("rule_").replace("_wildcards_", "/")


def read_queue(*options: str) -> list[QueuedJob]:
    """Return the jobs of this user, by default those that wait or run.

    Raises:
        OvertopError: There is no Slurm, or its controller does not answer.
    """
    command = ("squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%i|%Z|%k|%r", *options)
    return [QueuedJob(*line.split("|", 3)) for line in read(*command).splitlines()]


def jobs_of(folder: Path, queue: Iterable[QueuedJob]) -> list[QueuedJob]:
    """Return the jobs that Snakemake submitted from a folder."""
    return [job for job in queue if job.folder == str(folder) and job.comment.startswith("rule_")]


class QueueWatch:
    """Looks at the queue again and again, for jobs that to Snakemake only wait: held and lost ones.

    Slurm holds a job if somebody asks for it, or if its node fails to start it. It loses the jobs of the last seconds
    if its controller is killed before it saves them.

    Args:
        folder: the working directory of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: set[str] = set()
        self._unlisted: set[str] = set()

    def look(self, submitted: Collection[str]) -> tuple[list[str], set[str]]:
        """Return a line for each job that is held and was not before, and the ids of lost jobs.

        A job is lost if two looks in a row do not find it. If Slurm does not answer, nothing is known.

        Args:
            submitted: ids of the jobs that are not known to have ended.
        """
        try:
            queue = read_queue("--states=all")
        except OvertopError:
            return [], set()
        held = {_describe_held(job) for job in jobs_of(self._folder, queue) if "held" in job.reason.lower()}
        known, self._held = self._held, held
        listed = {_of_array(job.number) for job in queue}
        before, self._unlisted = self._unlisted, {number for number in submitted if _of_array(number) not in listed}
        return sorted(held - known), before & self._unlisted


def _describe_held(job: QueuedJob) -> str:
    """How to release a job."""
    return f"Slurm holds {job.name} (job {job.number}: {job.reason}); to let it run: scontrol release {job.number}"


def _of_array(number: str) -> str:
    """The id of a job, or of the array of a task."""
    return number.partition("_")[0]
