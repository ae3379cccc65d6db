"""Run a command and print the peak of resident memory of its largest process, in MB: `peak_memory.py COMMAND...`.

It is a program of its own, because the peak of a process counts that of the process that started it. What the command
prints goes to stderr.
"""

import os
import subprocess
import sys


def main() -> None:
    """Run the command of the command line, and exit as it does."""
    process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    print(usage.ru_maxrss / 1024)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
