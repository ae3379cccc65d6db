"""`make bench`: measure, write results/bench/*.csv, and end with a line for each bar.

Each part is a module of this folder that answers one question. A table's last columns say on which machine it was
measured, and what else ran: compare figures of one run, and rerun what was measured under load.
"""

import argparse
import sys
import time
from importlib import import_module
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # run as a script: `bench` and the oracles stand in tests/

from bench import machine  # noqa: E402
from bench.bars import Bar  # noqa: E402
from bench.size import FULL, QUICK  # noqa: E402
from overtop.storage.files import write_table  # noqa: E402

PARTS = ("ranking", "agreement", "estimators", "growth", "memory", "bootstrap", "embedding")
LARGE = "large"


def main() -> None:
    """Run the parts one after the other."""
    parser = argparse.ArgumentParser(prog="tests/bench", description="Measure what the pipeline costs.")
    parser.add_argument("--only", nargs="+", choices=(*PARTS, LARGE), default=PARTS, help="some parts")
    parser.add_argument("--million", action="store_true", help=f"also the part '{LARGE}', a gallery of a million items")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether everything runs, not how fast")
    parser.add_argument("--folder", type=Path, default=Path("results/bench"), help="where the tables go")
    options = parser.parse_args()
    facts = machine.describe()
    print(f"machine: {facts}", flush=True)
    bars: list[Bar] = []
    for part in [*options.only, LARGE] if options.million else options.only:
        start, load = time.perf_counter(), machine.load()
        outcome = import_module(f"bench.{part}").run(QUICK if options.quick else FULL)
        bars += outcome.bars
        for name, table in outcome.tables.items():
            path = options.folder / f"{name}.csv"
            write_table(path, table.assign(machine=facts, load_before=load, load_after=machine.load()))
            print(f"{path}: {len(table)} rows", flush=True)
        seconds = time.perf_counter() - start
        print(f"{part}: {seconds:.0f} s, load average {load} before, {machine.load()} after", flush=True)
    if options.quick:
        print("tiny sizes: only bars on answers mean anything")
    print("\n".join(map(str, bars)))


if __name__ == "__main__":
    main()
