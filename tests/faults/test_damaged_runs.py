"""A flipped byte in a finished run: the same command names the file, or makes the same results again."""

import os
import random
import shutil
from typing import NamedTuple

import pytest

from helpers.damage import flip
from helpers.pipeline import TINY_CONFIG, Project

pytestmark = pytest.mark.slow

METRICS = "results/metrics/shapes/test/tiny.parquet"
TABLE = "results/tables/tiny.csv"
CURVE = "results/figures/tiny-rejection.png"
ADAPTED = "results/metrics/shapes/test/adapted.parquet"
CASCADE = "results/figures/tiny-cascade.pdf"

RESULTS = (
    "results/**/*.*",
    "data/sources/**/*.json",
    "data/splits/**/*.*",
    "data/encoders/*.*",
    "data/adapters/**/*.*",
)
"""Everything that is to be as it was, digests of CSV files among it."""


class Case(NamedTuple):
    """A pattern of the file to damage, the target of the command, and patterns of the files that hang on it."""

    file: str
    target: str
    dependents: tuple[str, ...]


SCORED = (METRICS, "results/curves/*/shapes/test/tiny.parquet")
RANKED = ("results/radii/shapes/test/tiny.h5", "results/scores/shapes/test/tiny.parquet", *SCORED)
EMBEDDED = ("results/rankings/shapes/test/tiny.h5", *RANKED)
RAW = ("results/embeddings/shapes/test/tiny-0/deterministic/*.h5", *EMBEDDED)
SPREAD = ("results/scores/shapes/test/adapted.parquet", ADAPTED)

CASES = {
    "raw image": Case("data/raw/shapes/test/test-00007.png", METRICS, RAW),
    "record of raw files": Case("data/sources/shapes/test.json", METRICS, RAW),
    "split": Case("data/splits/shapes/test.parquet", METRICS, RAW),
    "checkpoint": Case("data/encoders/tiny-0.safetensors", METRICS, RAW),
    "shard": Case("results/embeddings/shapes/test/tiny-0/deterministic/image-1of2.h5", METRICS, EMBEDDED),
    "ranking": Case("results/rankings/shapes/test/tiny.h5", METRICS, RANKED),
    "radii": Case("results/radii/shapes/test/tiny.h5", METRICS, RANKED[1:]),
    "scores": Case("results/scores/shapes/test/tiny.parquet", METRICS, SCORED),
    "metrics": Case(METRICS, TABLE, ("results/tables/tiny.*",)),
    "curves": Case("results/curves/rejection/shapes/test/tiny.parquet", CURVE, ("results/figures/tiny-rejection.*",)),
    "adapter": Case("data/adapters/tiny/*.safetensors", ADAPTED, ("results/spread/shapes/test/adapted.h5", *SPREAD)),
    "spread": Case("results/spread/shapes/test/adapted.h5", ADAPTED, SPREAD),
    "cascade": Case("results/cascades/tiny/curve.csv", CASCADE, ("results/figures/tiny-cascade.*",)),
}
IN_EVERY_RUN = ("metrics", "raw image")
"""Kinds of damage that `make test` tries, too."""


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """A finished run, which every test leaves as it found it."""
    project = Project(tmp_path_factory.mktemp("damaged") / "run", forks_jobs=True)
    shutil.copytree(tiny.root, project.root, symlinks=True)
    return project


@pytest.mark.parametrize("mode", ["rot", "touched"])
@pytest.mark.parametrize(
    "kind", [kind if kind in IN_EVERY_RUN else pytest.param(kind, marks=pytest.mark.faults) for kind in CASES]
)
def test_damage_never_reaches_a_result(finished, record_fault, kind, mode):
    case = CASES[kind]
    if not (finished.root / case.target).exists():
        finished.run(case.target, *TINY_CONFIG)
    before = finished.read_files(*RESULTS)
    path = min(finished.root.glob(case.file))
    status = path.stat()
    path.write_bytes(flip(path.read_bytes(), random.Random(f"{kind} {mode}")))
    if mode == "rot":
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    for pattern in case.dependents:
        for dependent in finished.root.glob(pattern):
            dependent.unlink()
    run = finished.run(case.target, *TINY_CONFIG, check=False)
    output = run.stdout + run.stderr
    assert "Traceback" not in output
    if run.returncode != 0:
        assert f"overtop: {path.relative_to(finished.root)}: " in output
        assert "delete it and run the same command again" in output
        path.unlink()
        finished.run(case.target, *TINY_CONFIG)
    after = finished.read_files(*RESULTS)
    wrong = {name for name, content in after.items() if content != before.get(name)}
    missing = before.keys() - after.keys()
    fault = f"byte flipped in a finished run, {mode}: {kind}"
    record_fault(fault, tries=1, named=int(not wrong | missing), lost=len(missing), silent=len(wrong))
