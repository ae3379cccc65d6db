"""The benchmark runs, and its verdicts follow from its figures. No time is asserted."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bench import agreement, embeddings, estimators, memory, timing
from bench.bars import bar, not_applicable
from bench.passes import ranked
from bench.size import QUICK
from helpers import oracles
from overtop.estimators.registry import ESTIMATORS
from overtop.storage.shards import ArraySource

PARTS = ("ranking", "agreement", "estimators_ours", "estimators", "growth", "memory", "bootstrap", "embedding")


@pytest.fixture(scope="module")
def quick(repo, tmp_path_factory):
    """The folder of tables and the lines of a run at tiny sizes."""
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "tests/bench", "--quick", "--folder", str(folder)]
    ran = subprocess.run(command, cwd=repo, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return folder, ran.stdout.splitlines()


def test_every_part_leaves_a_table_that_names_the_machine(quick):
    folder, _ = quick
    assert {path.stem for path in folder.iterdir()} == set(PARTS)
    for path in folder.iterdir():
        table = pd.read_csv(path)
        assert len(table), path
        assert table["machine"].str.contains("torch .*bfloat16").all(), path
        assert table["load_after"].ge(0).all(), path


def test_it_ends_with_one_verdict_a_bar(quick):
    verdicts = [line for line in quick[1] if ", target " in line]
    assert quick[1][-len(verdicts) :] == verdicts
    assert len(verdicts) == 13
    assert all(line.endswith((": met", ": missed")) or ": not applicable (" in line for line in verdicts)
    assert all(": met" in line for line in verdicts if line.startswith(("same answer: float32 on the CPU, a", "estim")))


def test_every_estimator_has_its_reference(quick):
    table = pd.read_csv(quick[0] / "estimators.csv")
    scored = {name for name, one in ESTIMATORS.items() if "spread" not in one.needs}
    assert set(table.loc[table["same_definition"], "estimator"]) == scored
    assert table["note"].str.contains(f"extrapolated from {2 * QUICK.compared} queries").all()


def test_a_bar_is_met_up_to_its_limit():
    assert [bar("b", figure, "at most", 1.5).verdict for figure in (1.5, 1.6, np.nan)] == ["met", "missed", "missed"]
    assert [bar("b", figure, "at least", 10).verdict for figure in (10, 9)] == ["met", "missed"]
    assert str(bar("speed", 2.0, "at most", 1.5, " s")) == "speed: 2 s, target at most 1.5 s: missed"
    assert str(not_applicable("b", "none", "no GPU")) == "b: not measured, target none: not applicable (no GPU)"


def test_calls_are_timed_in_turn():
    order = []
    times = timing.interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b"] * 4
    assert list(times.index) == ["a", "b"]
    assert (times["repeats"] == 3).all()
    assert (times["min_s"] <= times["median_s"]).all()


def test_a_wrong_ranking_is_not_the_same_answer():
    images, texts = embeddings.embeddings(30, 20, 2, 16)
    ranking = ranked(images, texts)["t2i"]
    wrong = ranking.top_ids.copy()
    wrong[3, [0, 1]] = wrong[3, [1, 0]]
    votes = ranking.sample_top.copy()
    votes[4, 1, 0] = votes[4, 1, 4]
    found = agreement.compare(texts, images, ranking, replace(ranking, top_ids=wrong, sample_top=votes))
    assert (found["top1_differs"], found["differing"], found["beyond_ties"]) == (1, 3, 3)


def test_equally_similar_items_are_the_same_answer():
    texts = ArraySource([np.array([[1.0, 0.0]], dtype=np.float32)])
    images = ArraySource([np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 0.0]], dtype=np.float32)])
    ranking = ranked(images, texts)["t2i"]
    turned = replace(ranking, top_ids=ranking.top_ids[:, [1, 0, 2]])
    found = agreement.compare(texts, images, ranking, turned)
    assert (found["differing"], found["beyond_ties"]) == (2, 0)


def test_similarities_are_spread_as_those_of_clip():
    images, texts = embeddings.embeddings(400, 80, 2, 256)
    scores = oracles.similarities(*([side.read(s, 0, side.n_items) for s in range(2)] for side in (texts, images)))
    scores = scores.mean(axis=0)
    own = np.arange(400) // 5
    assert scores[np.arange(400), own].mean() == pytest.approx(0.28, abs=0.05)
    assert scores.mean() == pytest.approx(0.12, abs=0.05)
    assert 0.2 < (scores.argmax(axis=1) == own).mean() < 0.9


def test_a_source_made_as_it_is_read_does_not_depend_on_how():
    source = memory.MadeAsRead(1, 1_500, 2, 8)
    whole = source.read(1, 0, 1_500)
    parts = np.concatenate([source.read(1, start, min(start + 333, 1_500)) for start in range(0, 1_500, 333)])
    np.testing.assert_array_equal(parts, whole)
    assert np.abs(whole - source.read(0, 0, 1_500)).min() > 0


def test_differences_from_the_definition_are_told():
    table = pd.DataFrame({"estimator": ["a", "b"], "same_definition": [True, False], "largest_difference": [1e-3, 1.0]})
    assert estimators._agree(table).verdict == "missed"
