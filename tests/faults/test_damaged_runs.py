"""A flipped byte in a finished run: the same command names the file, or makes the same results again."""

import os
import random
import shutil
from typing import NamedTuple

import pytest

from helpers.damage import flip
from helpers.pipeline import TINY_CONFIG, Project

pytestmark = pytest.mark.slow

ADAPTED = "results/tables/adapted.csv"
CASCADE = "results/figures/tiny-cascade.pdf"
CURVE = "results/figures/tiny-rejection.png"

RESULTS = ("results/**/*.*", "data/sources/**/*.json", "data/splits/**/*.*", "data/encoders/*.*", "data/adapters/*.*")
"""Everything that is to be as it was, digests of CSV files among it."""


class Case(NamedTuple):
    """A file to damage, the target of the command, and patterns of the files that hang on it."""

    file: str
    target: str
    dependents: tuple[str, ...]


TABLE = ("results/tables/adapted.*", "results/members/adapted.csv")
METRICS = ("results/metrics/shapes/test/adapted.parquet", *TABLE)
SCORES = ("results/scores/shapes/test/adapted.parquet", *METRICS)
RANKING = ("results/rankings/shapes/test/adapted.h5", "results/radii/shapes/test/adapted.h5", *SCORES)
SHARDS = ("results/embeddings/shapes/test/tiny-0/deterministic/*.h5", *RANKING)

CASES = {
    "raw image": Case("data/raw/shapes/test/test-00007.png", ADAPTED, SHARDS),
    "record of raw files": Case("data/sources/shapes/test.json", ADAPTED, SHARDS),
    "split": Case("data/splits/shapes/test.parquet", ADAPTED, SHARDS),
    "checkpoint": Case("data/encoders/tiny-0.safetensors", ADAPTED, SHARDS),
    "shard": Case("results/embeddings/shapes/test/tiny-0/deterministic/image-1of2.h5", ADAPTED, RANKING),
    "adapter": Case("data/adapters/tiny.safetensors", ADAPTED, ("results/spread/shapes/test/adapted.h5", *SCORES)),
    "spread": Case("results/spread/shapes/test/adapted.h5", ADAPTED, SCORES),
    "ranking": Case("results/rankings/shapes/test/adapted.h5", ADAPTED, RANKING[1:]),
    "radii": Case("results/radii/shapes/test/adapted.h5", ADAPTED, SCORES),
    "scores": Case("results/scores/shapes/test/adapted.parquet", ADAPTED, METRICS),
    "metrics": Case("results/metrics/shapes/test/adapted.parquet", ADAPTED, TABLE),
    "curves": Case("results/curves/rejection/shapes/test/tiny.parquet", CURVE, ("results/figures/tiny-rejection.*",)),
    "cascade": Case("results/cascades/tiny/curve.csv", CASCADE, ("results/figures/tiny-cascade.*",)),
}
IN_EVERY_RUN = ("metrics", "raw image")
"""Kinds of damage that `make test` tries, too."""


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """A finished run with an adapter and a cascade, which every test leaves as it found it."""
    project = Project(tmp_path_factory.mktemp("damaged") / "run", forks_jobs=True)
    shutil.copytree(tiny.root, project.root, symlinks=True)
    project.run(ADAPTED, CASCADE, CURVE, *TINY_CONFIG)
    return project


@pytest.mark.parametrize("mode", ["rot", "touched"])
@pytest.mark.parametrize(
    "kind", [kind if kind in IN_EVERY_RUN else pytest.param(kind, marks=pytest.mark.faults) for kind in CASES]
)
def test_damage_never_reaches_a_result(finished, record_fault, kind, mode):
    case = CASES[kind]
    before = finished.read_files(*RESULTS)
    path = finished.root / case.file
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
        assert f"overtop: {case.file}: " in output
        assert "delete it and run the same command again" in output
        path.unlink()
        finished.run(case.target, *TINY_CONFIG)
    after = finished.read_files(*RESULTS)
    wrong = {name for name, content in after.items() if content != before.get(name)}
    missing = before.keys() - after.keys()
    fault = f"byte flipped in a finished run, {mode}: {kind}"
    record_fault(fault, tries=1, named=int(not wrong | missing), lost=len(missing), silent=len(wrong))
