"""Jobs of helpers.forking_snakemake are interrupted as those of Snakemake are."""

import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]

INTERRUPTED_JOB = """
import json, os, signal, socket
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
import torch
from helpers.forking_snakemake import run_job
client, server = socket.socketpair()
with open("job.log", "w") as log:
    job = json.dumps([["job.py"], os.getcwd(), {"OMP_NUM_THREADS": "1"}]).encode()
    socket.send_fds(client, [len(job).to_bytes(8, "big")], [log.fileno(), log.fileno()])
client.sendall(job)
os.kill(os.getpid(), signal.SIGINT)
run_job(server)
"""
"""A job that gets Ctrl-C while its streams are still those of the terminal."""


def test_job_that_is_interrupted_as_it_starts_writes_to_its_log(tmp_path):
    (tmp_path / "job.py").write_text("print('not interrupted')")
    process = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_JOB],
        cwd=tmp_path,
        env={"PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout + process.stderr == ""
    log = (tmp_path / "job.log").read_text()
    assert log.startswith("Traceback")
    assert log.endswith("\nKeyboardInterrupt\n")
