"""The whole demo: the files of `make demo`, and whether its results are plausible."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.pipeline import Project, copy_project, read_committed_config
from overtop.estimators.registry import REGISTRY
from overtop.report.size import MAX_BYTES
from overtop.tables.rows import INTERVALS

pytestmark = pytest.mark.slow

POSTERIORS = ("shapes", "shapes-dropout", "shapes-ensemble")


@pytest.fixture(scope="module")
def demo(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The default target, built once."""
    project = copy_project(repo, tmp_path_factory.mktemp("demo"))
    project.run()
    return project


@pytest.fixture(scope="module")
def table(demo: Project) -> pd.DataFrame:
    return pd.read_csv(demo.root / "results/tables/demo.csv")


def test_demo_writes_the_promised_files(demo):
    for name in ("tables/demo.csv", "tables/demo.md", "tables/demo.tex"):
        assert (demo.root / "results" / name).stat().st_size > 500
    for figure in ("demo-calibration", "demo-rejection"):
        assert (demo.root / f"results/figures/{figure}.pdf").read_bytes().startswith(b"%PDF")
        assert (demo.root / f"results/figures/{figure}.png").read_bytes().startswith(b"\x89PNG")
        numbers = pd.read_csv(demo.root / f"results/figures/{figure}.csv")
        assert 1 < numbers.groupby(["posterior", "estimator"]).ngroups <= 6
    page = demo.root / "results/reports/demo.html"
    assert 5 * 10**5 < page.stat().st_size <= MAX_BYTES
    assert page.read_text().count("data:image/webp") > 100


def test_table_has_every_combination_once(table, repo):
    key = ["direction", "posterior", "estimator", "protocol", "binning", "positives"]
    assert not table.duplicated(key).any()
    records = [REGISTRY[name] for name in read_committed_config(repo)["estimators"]]
    records = [record for record in records if not record.needs & {"adapter", "bank"}]
    methods = sum(len(record.protocols) * (2 if "samples" in record.needs else 3) for record in records)
    assert len(table) == 2 * 2 * 2 * methods
    assert table["n_queries"].isin([2000, 400]).all()
    assert table[["rejection_auc", "oracle_auc"]].notna().all(axis=None)
    assert (table["rejection_auc"] <= table["oracle_auc"] + 1e-9).all()


def test_numbers_are_inside_their_intervals(table):
    for name in INTERVALS:
        known = table["calibration_defined"] | (name not in ("spearman", "r2", "neg_sr2"))
        assert (table[[name, f"{name}_low", f"{name}_high"]].notna().all(axis=1) == known).all()
        assert table[name].between(table[f"{name}_low"], table[f"{name}_high"])[known].all()
    judged = table["estimator"] != "top1_similarity"
    assert (table["p_holm"].notna() == judged).all()
    assert (table["p_holm"] >= table["p_value"])[judged].all()


def test_every_member_retrieves_exact_captions_better_than_chance(demo):
    """At least ten times chance (1 of 400), by the labelled pair alone."""
    for log in sorted((demo.root / "logs/train").glob("shapes-*.log")):
        recall = float(re.search(r"t2i exact ([\d.]+)", log.read_text())[1])
        assert recall >= 10 / 400, log.name
    scores = _t2i(demo, "shapes")
    exact = scores[(scores["level"] == "exact") & (scores["estimator"] == "top1_similarity")]
    assert exact["hit"].mean() >= 10 / 400


def _t2i(demo, posterior):
    scores = pd.read_parquet(demo.root / f"results/scores/shapes/test/{posterior}.parquet")
    captions = pd.read_parquet(demo.root / "data/splits/shapes/test.parquet").set_index("caption_id")["level"]
    scores = scores[(scores["direction"] == "t2i") & (scores["protocol"] == "corrected")]
    return scores.assign(level=scores["query_id"].map(captions))


def uncertainty_by_level(demo):
    """Mean uncertainty by caption level, a row per posterior and estimator."""
    means = {}
    for posterior in POSTERIORS:
        for estimator, rows in _t2i(demo, posterior).groupby("estimator"):
            means[posterior, estimator] = rows.groupby("level", sort=False)["uncertainty"].mean()
    return pd.DataFrame(means).T


def test_vague_captions_are_more_uncertain_than_exact_ones(demo):
    """The ambiguity of a caption is known by construction.

    The mean uncertainty of vague captions exceeds that of exact ones by five standard errors, except for vacuity, which
    falls with many matches, and for two estimators that depend on little but the top-1.
    """
    failing = []
    for posterior in POSTERIORS:
        scores = _t2i(demo, posterior)
        judged = scores[~scores["estimator"].isin(["dirichlet_vacuity", "margin", "max_softmax"])]
        for estimator, rows in judged.groupby("estimator"):
            exact, vague = (rows.loc[rows["level"] == level, "uncertainty"] for level in ("exact", "vague"))
            error = np.sqrt(exact.var() / len(exact) + vague.var() / len(vague))
            if not vague.mean() - exact.mean() > 5 * error:
                failing.append((posterior, estimator))
    print(uncertainty_by_level(demo).round(3).to_string())
    assert failing == []
