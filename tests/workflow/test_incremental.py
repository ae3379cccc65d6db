"""Any target is rebuilt incrementally: nothing too little, nothing too much, whatever happened before."""

import os
import signal
import subprocess
import time
from collections import Counter

import pytest

from helpers.pipeline import BINARIES, ENVIRONMENT, TINY

pytestmark = pytest.mark.slow

RESULTS = ("results/tables/*", "results/figures/*", "results/embeddings/**/*.h5", "data/encoders/*")
PER_POSTERIOR = Counter({"rank": 1, "radius": 1, "score": 1, "evaluate": 1})
DRAWN = Counter({"tabulate": 1, "plot": 2})


def _times(counts, factor):
    return Counter({rule: count * factor for rule, count in counts.items()})


def test_a_second_run_does_nothing(tiny):
    assert tiny.planned(*TINY) == Counter()


def test_a_deleted_shard_is_rebuilt_with_what_hangs_on_it(tiny, copy_of):
    project = copy_of(tiny)
    before = project.bytes(*RESULTS)
    (project.root / "results/embeddings/shapes/test/tiny-0/dropout-0.2x4/image-1of2.h5").unlink()
    assert project.planned(*TINY) == Counter({"embed": 1}) + PER_POSTERIOR + DRAWN
    project.run(*TINY)
    assert project.bytes(*RESULTS) == before
    assert project.planned(*TINY) == Counter()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("evaluation={bins: 5}", Counter({"evaluate": 3}) + DRAWN),
        ("radius={step: 0.05}", Counter({"radius": 3, "score": 3, "evaluate": 3}) + DRAWN),
        ("ranking={top: 20}", _times(PER_POSTERIOR, 3) + DRAWN),
        (
            # The figures of config.yaml ask for the last two.
            "estimators=[top1_similarity, top1_consistency, adversarial_exact, max_softmax, energy]",
            Counter({"score": 3, "evaluate": 3}) + DRAWN,
        ),
        ("tables={tiny: {binnings: [equal_width]}}", Counter({"tabulate": 1})),
        ("figures={tiny-rejection: {positives: extended}}", Counter({"plot": 1})),
        ("datasets={shapes: {on_error: skip}}", Counter({"embed": 6}) + _times(PER_POSTERIOR, 3) + DRAWN),
        ("encoders={tiny-1: {train: {epochs: 2}}}", Counter({"train": 1, "embed": 3}) + PER_POSTERIOR + DRAWN),
        ("posteriors={tiny-dropout: {passes: 3}}", Counter({"embed": 3}) + PER_POSTERIOR + DRAWN),
        ("embedding={batch_size: {text: 128}}", Counter({"embed": 3}) + _times(PER_POSTERIOR, 3) + DRAWN),
        ("temperature={softmax: 0.02}", _times(PER_POSTERIOR, 3) + DRAWN),
        # Fitted temperatures need the validation split of all three posteriors.
        (
            "temperature={softmax: fitted}",
            Counter({"embed": 9, "temperature": 3}) + _times(PER_POSTERIOR, 3) + DRAWN,
        ),
        ("evaluation={bootstrap: {resamples: 300}}", Counter({"evaluate": 3}) + DRAWN),
        ("operating={precisions: [0.5]}", Counter()),
        ("adapters={tiny: {epochs: 2}}", Counter()),
        ("cascades={tiny: {errors: []}}", Counter()),
        ("mirror=/elsewhere", Counter()),
    ],
)
def test_a_changed_key_reruns_exactly_what_uses_it(tiny, change, expected):
    assert tiny.planned(*TINY, "--config", change) == expected


def test_a_killed_run_is_taken_up_where_it_stopped(tiny, fresh):
    """SIGKILL to Snakemake and all its jobs; what comes of it equals an undisturbed run elsewhere, byte for byte."""
    run = subprocess.Popen(
        [BINARIES / "snakemake", "--cores", "2", *TINY],
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
    assert "--unlock" in fresh.run(*TINY, check=False).stderr
    fresh.run(*TINY, "--unlock")
    fresh.run(*TINY)
    assert fresh.bytes(*RESULTS) == tiny.bytes(*RESULTS)
    assert kept
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "what was whole is not made again"
