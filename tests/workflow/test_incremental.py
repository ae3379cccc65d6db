"""Any target is rebuilt incrementally: exactly the jobs that are needed."""

import json
import os
import signal
import subprocess
import time
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import yaml

from helpers.pipeline import BIN, ENVIRONMENT, TINY_CONFIG

pytestmark = pytest.mark.slow

RESULTS = (*(f"results/{kind}/*" for kind in ("tables", "figures", "reports", "embeddings/**")), "data/encoders/*")
PER_POSTERIOR = Counter({"rank": 1, "radius": 1, "score": 1, "evaluate": 1})
METRICS = "results/metrics/few/test/imported.parquet"
DRAWN = Counter({"table": 1, "plot": 2, "report": 1})


def _times(counts, factor):
    return Counter({rule: count * factor for rule, count in counts.items()})


def test_second_run_does_nothing(tiny):
    assert tiny.planned_jobs(*TINY_CONFIG) == Counter()


def test_touched_scripts_and_configuration_rerun_nothing(tiny, copy_of):
    project = copy_of(tiny)
    touched = [
        path for pattern in ("scripts/**/*.py", "workflow/**/*.*", "*.yaml") for path in project.root.glob(pattern)
    ]
    assert len(touched) > 200
    for path in touched:
        path.touch()
    assert project.planned_jobs(*TINY_CONFIG) == Counter()


def test_deleted_shard_is_rebuilt_with_everything_downstream(tiny, copy_of):
    project = copy_of(tiny)
    before = project.read_files(*RESULTS)
    (project.root / "results/embeddings/shapes/test/tiny-0/dropout-0.2x4/image-1of2.h5").unlink()
    assert project.planned_jobs(*TINY_CONFIG) == Counter({"embed": 1}) + PER_POSTERIOR + DRAWN
    project.run(*TINY_CONFIG, "--cores", "1")
    assert project.read_files(*RESULTS) == before, "the number of cores changes nothing"
    assert project.planned_jobs(*TINY_CONFIG) == Counter()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("evaluation={bins: 5}", Counter({"evaluate": 3}) + DRAWN),
        ("radius={step: 0.05}", Counter({"radius": 3, "score": 3, "evaluate": 3}) + DRAWN),
        ("ranking={top: 20}", _times(PER_POSTERIOR, 3) + DRAWN),
        (
            # Figures in config.yaml need the last two.
            "estimators=[top1_similarity, top1_consistency, adversarial_exact, max_softmax, energy]",
            Counter({"score": 3, "evaluate": 3}) + DRAWN,
        ),
        ("tables={tiny: {binnings: [equal_width]}}", Counter({"table": 1, "report": 1})),
        ("figures={tiny-rejection: {positives: extended}}", Counter({"plot": 1})),
        ("reports={tiny: {queries: 10}}", Counter({"report": 1})),
        ("datasets={shapes: {on_error: skip}}", Counter({"embed": 6}) + _times(PER_POSTERIOR, 3) + DRAWN),
        ("encoders={tiny-1: {train: {epochs: 2}}}", Counter({"train": 1, "embed": 2}) + PER_POSTERIOR + DRAWN),
        ("posteriors={tiny-dropout: {passes: 3}}", Counter({"embed": 2}) + PER_POSTERIOR + DRAWN),
        ("embedding={batch_size: {text: 128}}", Counter({"embed": 6}) + _times(PER_POSTERIOR, 3) + DRAWN),
        ("temperature={softmax: 0.02}", _times(PER_POSTERIOR, 3) + DRAWN),
        # Fitted temperatures need the validation split of all three posteriors.
        (
            "temperature={softmax: fitted}",
            Counter({"embed": 6, "temperature": 3}) + _times(PER_POSTERIOR, 3) + DRAWN,
        ),
        ("evaluation={bootstrap: {resamples: 300}}", Counter({"evaluate": 3}) + DRAWN),
        ("operating={precisions: [0.5]}", Counter()),
        ("adapters={tiny: {epochs: 2}}", Counter()),
        ("cascades={tiny: {errors: []}}", Counter()),
        ("mirror=/elsewhere", Counter()),
    ],
)
def test_changed_key_reruns_exactly_its_users(tiny, change, expected):
    assert tiny.planned_jobs(*TINY_CONFIG, "--config", change) == expected


def test_killed_run_is_resumed(tiny, fresh, record_fault):
    """SIGKILL to Snakemake and all its jobs; the resumed run equals an undisturbed one byte for byte."""
    run = subprocess.Popen(
        [BIN / "snakemake", "--cores", "2", *TINY_CONFIG],
        cwd=fresh.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 240
    while not list(fresh.root.glob("results/embeddings/**/*.h5")):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    kept = {path: path.stat().st_mtime_ns for path in fresh.root.glob("data/encoders/*.safetensors")}
    again = fresh.run(*TINY_CONFIG)
    assert "warning: removed the lock that a killed run left; no other run is alive" in again.stderr
    assert fresh.read_files(*RESULTS) == tiny.read_files(*RESULTS)
    assert kept
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "complete files are not made again"
    record_fault("kill -9 of Snakemake and its jobs", tries=1, named=1)


def test_radii_are_measured_only_if_an_estimator_needs_them(fresh, tmp_path):
    rng = np.random.default_rng(0)
    image, noise = rng.normal(size=(2, 20, 4))
    np.savez(tmp_path / "few.npz", image=image, text=image + noise, image_of_caption=np.arange(20))
    config = yaml.safe_load((fresh.root / "config.yaml").read_text())
    config["datasets"]["few"] = {"kind": "embeddings", "splits": {"test": str(tmp_path / "few.npz")}}
    for section in (
        "cascades",
        "figures",
        "reports",
        "targets",
        "transfers",
    ):  # these name estimators, or what names them
        del config[section]
    config["estimators"] = ["top1_similarity", "margin"]
    (fresh.root / "config.yaml").write_text(json.dumps(config))
    fresh.run(METRICS)
    assert not (fresh.root / "results" / "radii").exists()
    few = pd.read_parquet(fresh.root / METRICS)
    config["estimators"].append("adversarial_exact")
    (fresh.root / "config.yaml").write_text(json.dumps(config))
    assert fresh.planned_jobs(METRICS) == {"radius": 1, "score": 1, "evaluate": 1}
    fresh.run(METRICS)
    more = pd.read_parquet(fresh.root / METRICS)
    assert set(more["estimator"]) == set(config["estimators"])
    kept = more[more["estimator"] != "adversarial_exact"].drop(columns="p_holm").reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, few.drop(columns="p_holm"))
