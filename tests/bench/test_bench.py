"""The benchmark runs at tiny sizes, and its verdicts follow from its figures. No time is asserted."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bench.estimator_speed import PROTOCOL, check_difference
from bench.ranking_agreement import compare_rankings
from bench.ranking_memory import GeneratedSource
from bench.ranking_pass import rank_embeddings, read_samples
from bench.sizes import QUICK
from bench.synthetic_embeddings import make_embeddings
from bench.targets import check_target, not_applicable
from bench.timing import time_interleaved
from helpers import oracles
from overtop.estimators.registry import REGISTRY
from overtop.storage.shards import ArraySource

TABLES = {
    "ranking",
    "agreement",
    "estimators_ours",
    "estimators",
    "stages",
    "growth",
    "memory",
    "bootstrap",
    "embedding",
    "finetuning",
    "attack",
    "answers",
    "report",
}


@pytest.fixture(scope="module")
def quick_run(repo, tmp_path_factory):
    """The folder of tables and the printed lines of a run at tiny sizes."""
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "tests/bench", "--quick", "--folder", str(folder)]
    result = subprocess.run(command, cwd=repo, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return folder, result.stdout.splitlines()


def test_benchmark_writes_every_table_with_the_machine(quick_run):
    folder, _ = quick_run
    tables = [path for path in folder.iterdir() if path.suffix == ".csv"]
    assert {path.stem for path in tables} == TABLES
    for path in tables:
        table = pd.read_csv(path)
        assert len(table), path
        assert table["machine"].str.contains("torch .*bfloat16").all(), path
        assert table["load_after"].ge(0).all(), path


def test_benchmark_ends_with_one_line_per_target(quick_run):
    _, lines = quick_run
    verdicts = [line for line in lines if ", target " in line]
    assert lines[-len(verdicts) :] == verdicts
    assert len(verdicts) == 28
    assert all(line.endswith((": met", ": missed")) or ": not applicable (" in line for line in verdicts)


def test_benchmark_results_agree_with_references(quick_run):
    _, lines = quick_run
    verdicts = [line for line in lines if line.startswith(("same ranking: float32 on the CPU and a", "estimators and"))]
    assert len(verdicts) == 2
    assert all(line.endswith(": met") for line in verdicts), verdicts


def test_benchmark_compares_every_estimator_with_its_plain_loop(quick_run):
    table = pd.read_csv(quick_run[0] / "estimators.csv")
    expected = {
        name
        for name, estimator in REGISTRY.items()
        if "adapter" not in estimator.needs and PROTOCOL in estimator.protocols
    }
    assert set(table.loc[table["same_definition"], "estimator"]) == expected
    assert table["note"].str.contains(f"extrapolated from {2 * QUICK.reference_queries} queries").all()


def test_target_is_met_up_to_and_including_its_limit():
    assert [check_target("x", v, "at most", 1.5).verdict for v in (1.5, 1.6, np.nan)] == ["met", "missed", "missed"]
    assert [check_target("x", v, "at least", 10).verdict for v in (10, 9)] == ["met", "missed"]


def test_target_check_is_printed_with_figure_and_verdict():
    assert str(check_target("speed", 2.0, "at most", 1.5, " s")) == "speed: 2 s, target at most 1.5 s: missed"
    assert str(not_applicable("x", "none", "no GPU")) == "x: not measured, target none: not applicable (no GPU)"


def test_calls_are_timed_in_turn_after_one_warm_up():
    order = []
    times = time_interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b"] * 4
    assert list(times.index) == ["a", "b"]
    assert (times["repeats"] == 3).all()
    assert (times["min_s"] <= times["median_s"]).all()


def test_wrong_ranking_is_counted_as_different():
    images, texts = make_embeddings(30, 20, 2, 16)
    ranking = rank_embeddings(images, texts)["t2i"]
    wrong = ranking.top_ids.copy()
    wrong[3, [0, 1]] = wrong[3, [1, 0]]
    votes = ranking.sample_top.copy()
    votes[4, 1, 0] = votes[4, 1, 4]
    differences = compare_rankings(texts, images, ranking, replace(ranking, top_ids=wrong, sample_top=votes))
    assert (differences["top1_differs"], differences["differing"], differences["beyond_ties"]) == (1, 3, 3)


def test_exchanged_ties_are_not_counted_as_different():
    texts = ArraySource([np.array([[1.0, 0.0]], dtype=np.float32)])
    images = ArraySource([np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 0.0]], dtype=np.float32)])
    ranking = rank_embeddings(images, texts)["t2i"]
    exchanged = replace(ranking, top_ids=ranking.top_ids[:, [1, 0, 2]])
    differences = compare_rankings(texts, images, ranking, exchanged)
    assert (differences["differing"], differences["beyond_ties"]) == (2, 0)


def test_synthetic_embeddings_have_similarities_like_clip():
    images, texts = make_embeddings(400, 80, 2, 256)
    scores = oracles.cosine_similarities(read_samples(texts), read_samples(images)).mean(axis=0)
    own_image = np.arange(400) // 5
    assert scores[np.arange(400), own_image].mean() == pytest.approx(0.28, abs=0.05)
    assert scores.mean() == pytest.approx(0.12, abs=0.05)
    assert 0.2 < (scores.argmax(axis=1) == own_image).mean() < 0.9


def test_generated_source_read_in_parts_equals_the_whole():
    source = GeneratedSource(1, 1_500, 2, 8)
    whole = source.read(1, 0, 1_500)
    parts = np.concatenate([source.read(1, start, min(start + 333, 1_500)) for start in range(0, 1_500, 333)])
    np.testing.assert_array_equal(parts, whole)
    assert np.abs(whole - source.read(0, 0, 1_500)).min() > 0


def test_estimator_that_differs_from_its_plain_loop_misses_the_target():
    table = pd.DataFrame({"estimator": ["a", "b"], "same_definition": [True, False], "largest_difference": [1e-3, 1.0]})
    assert check_difference(table).verdict == "missed"
