"""Snakemake for tests of many small jobs: each job is a fork of one process that has imported torch already.

Importing torch and open_clip takes longer than most jobs of a test. Run this file with the arguments of Snakemake. The
scripts, their order and their files are those of an ordinary run.
"""

import json
import os
import runpy
import signal
import socket
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

PRELOADED = ("overtop.encoders.loading", "overtop.storage.shards", "overtop.figures.style", "pandas", "scipy.stats")
"""Modules that are slow to import."""

CLIENT = f"""#!{sys.executable} -SE
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[0] + ".socket")
    job = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1, 2]))]
    server.sendmsg([len(job).to_bytes(8, "big")], ancillary)
    server.sendall(job)
    sys.exit(int(server.recv(16) or 1))
"""
"""Takes the place of Python: sends a job with its output streams to the server, and exits as the job does."""


def serve(listener: socket.socket) -> None:
    """Run each job that arrives in a fork of this process, which imports the modules when the first one arrives."""
    # Ctrl-C is for Snakemake and the jobs. A job that has started already keeps it until its streams are its own.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    while True:
        connection, _ = listener.accept()
        for name in PRELOADED:
            __import__(name)
        is_interrupted = signal.SIGINT in signal.sigpending()
        if not is_interrupted and os.fork() == 0:
            run_job(connection)
        connection.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def run_job(connection: socket.socket) -> None:
    """Run one job in this process, report its exit status and exit."""
    size, (stdout, stderr), *_ = socket.recv_fds(connection, 8, 2)
    request = b""
    while len(request) < int.from_bytes(size, "big"):
        request += connection.recv(1 << 20)
    arguments, folder, environment = json.loads(request)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    # Imported before the fork; torch has read the number of threads then.
    sys.modules["torch"].set_num_threads(int(environment["OMP_NUM_THREADS"]))
    status = 0
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(str(status).encode())
    os._exit(0)


def main() -> None:
    """Start the server of jobs, and run Snakemake with its client in place of Python."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        client = Path(folder) / "python"
        client.write_text(CLIENT)
        client.chmod(0o755)
        listener.bind(f"{client}.socket")
        listener.listen()
        server = os.fork()
        if server == 0:
            serve(listener)
        sys.executable = str(client)
        from snakemake.cli import main as run_snakemake

        try:
            run_snakemake()
        finally:
            os.kill(server, signal.SIGTERM)
            os.waitpid(server, 0)


if __name__ == "__main__":
    main()
