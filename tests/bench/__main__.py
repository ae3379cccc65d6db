"""`make bench`: measure speed and memory, write results/bench/*.csv, and print one line per target figure.

Each part is a module of this folder. The last columns of a table describe the machine and its load: compare only
figures of one run, and repeat what was measured while other processes were running.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # `bench` and `helpers` are packages in tests/

from bench import (  # noqa: E402
    answer_speed,
    attack_speed,
    bootstrap_speed,
    embedding_speed,
    estimator_speed,
    finetuning_speed,
    label_simulation,
    large_gallery,
    ranking_agreement,
    ranking_memory,
    ranking_scaling,
    ranking_speed,
    report_size,
    stage_speed,
    threshold_simulation,
)
from bench.machine import describe_machine, load_average  # noqa: E402
from bench.sizes import FULL, QUICK  # noqa: E402
from bench.targets import TargetCheck  # noqa: E402
from overtop.storage.tables import write_table  # noqa: E402

PARTS = {
    "ranking": ranking_speed.run,
    "agreement": ranking_agreement.run,
    "estimators": estimator_speed.run,
    "stages": stage_speed.run,
    "growth": ranking_scaling.run,
    "memory": ranking_memory.run,
    "bootstrap": bootstrap_speed.run,
    "embedding": embedding_speed.run,
    "finetuning": finetuning_speed.run,
    "attacks": attack_speed.run,
    "answers": answer_speed.run,
    "report": report_size.run,
}
ON_REQUEST = {"large": large_gallery.run, "thresholds": threshold_simulation.run, "labels": label_simulation.run}
"""Parts that run only if they are named: long ones, and those whose result does not depend on the machine."""


def main() -> None:
    """Run the parts one after the other, write their tables and print their target checks."""
    parser = argparse.ArgumentParser(prog="tests/bench", description="Measure the speed and memory of the pipeline.")
    parser.add_argument("--only", nargs="+", choices=(*PARTS, *ON_REQUEST), default=PARTS, help="run only these parts")
    parser.add_argument("--million", action="store_true", help="also run 'large', with a gallery of a million items")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to test the benchmark itself")
    parser.add_argument("--folder", type=Path, default=Path("results/bench"), help="folder of the tables")
    options = parser.parse_args()
    machine = describe_machine()
    print(f"machine: {machine}", flush=True)
    checks: list[TargetCheck] = []
    for part in [*options.only, "large"] if options.million else options.only:
        start, load_before = time.perf_counter(), load_average()
        result = (PARTS | ON_REQUEST)[part](QUICK if options.quick else FULL)
        checks += result.checks
        for name, table in result.tables.items():
            path = options.folder / f"{name}.csv"
            write_table(path, table.assign(machine=machine, load_before=load_before, load_after=load_average()))
            print(f"{path}: {len(table)} rows", flush=True)
        seconds = time.perf_counter() - start
        print(f"{part}: {seconds:.0f} s, load average {load_before} before, {load_average()} after", flush=True)
    if options.quick:
        print("tiny sizes: only the checks of results are meaningful, not those of time and memory")
    print("\n".join(map(str, checks)))


if __name__ == "__main__":
    main()
