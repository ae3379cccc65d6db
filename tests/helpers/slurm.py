"""A real Slurm on one node, with two GPUs that are none: installed, started and stopped by the tests.

Memory is enforced by sampling, since a container has no cgroups of its own. There is no accounting database, so that
`squeue` is the only command that knows the state of a job.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PACKAGES = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"}
"""The Debian package of each program that is needed."""

# Where Debian's programs look: the job step of the executor plugin drops SLURM_CONF.
ETC = Path("/etc/slurm")
POLICY = Path("/usr/sbin/policy-rc.d")
MUNGE_SOCKET = Path("/run/munge/munge.socket.2")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation={state}/controller
SlurmdSpoolDir={state}/spool
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd.pid
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MinJobAge=86400
KillWait=3
OverTimeLimit=0
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=60
SchedulerParameters=batch_sched_delay=0,sched_min_interval=10000
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=64000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime={max_time} State=UP
"""


def reason_to_skip() -> str:
    """Why a Slurm cannot be installed and started here; empty if it can."""
    if os.geteuid() != 0:
        return "a Slurm of the tests' own needs root"
    if not all(map(shutil.which, PACKAGES)) and not shutil.which("apt-get"):
        return "a Slurm of the tests' own needs the Debian packages " + ", ".join(PACKAGES.values())
    if (ETC / "slurm.conf").exists():
        return f"{ETC}/slurm.conf exists: this machine has a Slurm, or a test run was killed (then delete the file)"
    return ""


def install() -> None:
    """Install what is missing, without starting the packages' own services."""
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if not missing:
        return
    had_policy = POLICY.exists()
    if not had_policy:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
            subprocess.run(["apt-get", "-qq", *command], check=True, capture_output=True, env=environment)
    finally:
        if not had_policy:
            POLICY.unlink()


def output_of(*command: str) -> str:
    """What a command prints; empty if it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def wait_until(condition, what: str, seconds: float = 60) -> None:
    """Wait for a condition, or fail the test."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.2)


def _is_alive(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return False
    return True


@dataclass(frozen=True)
class Slurm:
    """The daemons, whose state and logs are in the folder `state`."""

    state: Path

    def start(self, *daemons: str) -> None:
        """Start daemons (by default both), and wait until the node takes jobs."""
        for daemon in daemons or ("slurmctld", "slurmd"):
            if not _is_alive(self.state / f"{daemon}.pid"):
                subprocess.run([daemon], check=True, capture_output=True)
        wait_until(self._is_ready, "the node of Slurm")

    def _is_ready(self) -> bool:
        state = output_of("sinfo", "--noheader", "--format=%T").strip()
        if state.startswith(("down", "drain")):
            output_of("scontrol", "update", f"NodeName={socket.gethostname().split('.')[0]}", "State=RESUME")
        return state in ("idle", "mixed", "allocated")

    def kill(self, daemon: str, number: int = signal.SIGKILL) -> None:
        """End a daemon by its process id."""
        pid_file = self.state / f"{daemon}.pid"
        if _is_alive(pid_file):
            os.kill(int(pid_file.read_text()), number)
            wait_until(lambda: not _is_alive(pid_file), f"the end of {daemon}")

    def jobs(self, *states: str) -> list[list[str]]:
        """Id, state and comment (rule and wildcards) of the jobs in the given states; by default of all jobs so far."""
        lines = output_of("squeue", "--noheader", f"--states={','.join(states) or 'all'}", "--format=%i|%T|%k")
        return sorted((line.split("|") for line in lines.splitlines()), key=lambda job: int(job[0].split("_")[0]))

    def gpus(self) -> dict[str, str]:
        """What each job so far asked for by `--gpus`, such as `gres:gpu:1`; `N/A` for none."""
        lines = output_of("squeue", "--noheader", "--states=all", "--Format=JobArrayID:30,tres-per-job:60").splitlines()
        return {number: requested for number, requested in map(str.split, lines)}

    def runs_step(self, number: str) -> bool:
        """Whether the step of a job has begun, which is what its program runs in."""
        return f"{number}.0" in output_of("squeue", "--noheader", "--steps", "--format=%i").split()

    def forget(self) -> None:
        """Cancel what runs."""
        output_of("scancel", "--user", "root")
        wait_until(lambda: not self.jobs("PENDING", "RUNNING", "COMPLETING"), "the end of all jobs")


def _start_munge(state: Path) -> subprocess.Popen[bytes]:
    """Start the daemon that signs messages, with a new key."""
    key = Path("/etc/munge/munge.key")
    if not key.exists():
        key.write_bytes(os.urandom(128))
    for folder in (key.parent, MUNGE_SOCKET.parent, Path("/var/log/munge"), Path("/var/lib/munge")):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.chown(folder, "munge", "munge")
        folder.chmod(0o755 if folder == MUNGE_SOCKET.parent else 0o700)
    shutil.chown(key, "munge", "munge")
    key.chmod(0o400)
    MUNGE_SOCKET.unlink(missing_ok=True)
    command = ["runuser", "-u", "munge", "--", "munged", "--foreground", "--force"]
    with (state / "munged.log").open("wb") as log:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    wait_until(MUNGE_SOCKET.exists, "munged")
    return daemon


@contextmanager
def running_slurm(state: Path, max_time: str = "INFINITE") -> Iterator[Slurm]:
    """Start a Slurm with its state in a folder, and stop it: while slurm.conf exists without daemons, clients hang."""
    install()
    ETC.mkdir(exist_ok=True)
    (state / "controller").mkdir(parents=True)
    munge = _start_munge(state)
    slurm = Slurm(state)
    host = socket.gethostname().split(".")[0]
    # Slurm wants a device file for each GPU; any that exist will do.
    gpus = (f"NodeName={host} Name=gpu File={device}\n" for device in ("/dev/null", "/dev/zero"))
    (ETC / "gres.conf").write_text("".join(gpus))
    (ETC / "slurm.conf").write_text(CONFIGURATION.format(host=host, state=state, max_time=max_time))
    try:
        slurm.start()
        yield slurm
        slurm.forget()
    finally:
        for daemon in ("slurmd", "slurmctld"):
            slurm.kill(daemon)
        munge.terminate()
        munge.wait()
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).unlink()
