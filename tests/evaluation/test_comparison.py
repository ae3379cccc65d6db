"""Paired differences against a loop over resamples; then the script, on files."""

import json
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.config.evaluation import EvaluationSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import draw_clusters
from overtop.evaluation.calibration import calibrate
from overtop.evaluation.comparison import COLUMNS, MOST, compare, verdict
from overtop.evaluation.metrics import evaluate
from overtop.evaluation.selective import selective_measures
from overtop.evaluation.significance import holm
from overtop.reference.paper import paper_table
from overtop.seeds import derive_seed
from overtop.storage.files import write_table
from overtop.tables.rows import DECIMALS

script = load_script("compare")

SPEC = EvaluationSpec.model_validate({"bootstrap": {"resamples": 300}})
KINDS = {"l14": "deterministic", "l14-dropout": "mc_dropout"}
METHODS = {  # and how much noise each has
    ("l14", "top1_similarity"): 1.0,
    ("l14", "adversarial_pgd"): 0.3,
    ("l14", "margin"): 0.5,
    ("l14-dropout", "top1_consistency"): 0.5,
    ("l14-dropout", "adversarial_linear"): 0.4,
}
SIDES = ("first", "second")


def scored(posterior, methods, direction="t2i", images=60, protocols=("published", "corrected"), seed=0):
    """Scores as the `score` rule writes them; each method is the same under both protocols, but for pgd."""
    rng = np.random.default_rng([seed, len(posterior)])
    each = 3 if direction == "t2i" else 1
    owner = np.repeat(np.arange(images), each)
    doubt = np.random.default_rng(seed).normal(size=images)[owner]
    hit = doubt + rng.normal(size=len(owner)) < 0.3
    frames = []
    for estimator, noise in methods.items():
        told = doubt + noise * rng.normal(size=len(owner))
        if "consistency" in estimator:
            told = np.round(told * 4) / 4
        for protocol in protocols:
            shift = (
                0.2 * rng.normal(size=len(owner)) if (estimator, protocol) == ("adversarial_pgd", "corrected") else 0
            )
            frames.append(
                pd.DataFrame(
                    {
                        "query_id": [f"{direction}{i}" for i in range(len(owner))],
                        "image_id": [f"i{i}" for i in owner],
                        "direction": direction,
                        "estimator": estimator,
                        "protocol": protocol,
                        "uncertainty": told + shift,
                        "hit": hit,
                        "hit_extended": pd.array([pd.NA] * len(owner), dtype="boolean"),
                        "rank": np.where(hit, 1, 7),
                        "rank_extended": np.nan,
                        "tied": False,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def of_posterior(posterior, **options):
    methods = {estimator: noise for (name, estimator), noise in METHODS.items() if name == posterior}
    return scored(posterior, methods, **options)


def named(posterior, architecture="ViT-L-14", **options):
    return of_posterior(posterior, **options).assign(
        posterior=posterior, kind=KINDS[posterior], architecture=architecture
    )


@pytest.fixture(scope="module")
def scores():
    frames = [named(p, direction=d) for p in KINDS for d in ("t2i", "i2t")]
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def found(scores):
    return compare(scores, SPEC, seed=5, paper=paper_table("table1"), benchmark="coco")


def methods_of(row):
    return [(row[f"{side}_posterior"], row[f"{side}_estimator"]) for side in SIDES]


def values(queries, copies):
    """-S R2 and AURC of queries that stand there as often as they were drawn."""
    uncertainty, hit = (np.repeat(queries[column].to_numpy(), copies) for column in ("uncertainty", "hit"))
    return calibrate(uncertainty, hit, SPEC.bins).neg_sr2, selective_measures(uncertainty, hit, SPEC.precision).aurc


def test_a_loop_over_resamples_finds_the_same(scores):
    few = EvaluationSpec.model_validate({"bootstrap": {"resamples": 100}})
    pair = [("l14", "adversarial_pgd"), ("l14-dropout", "top1_consistency")]
    panel = scores[(scores["direction"] == "t2i") & (scores["protocol"] == "corrected")]
    queries = [panel[(panel["posterior"] == p) & (panel["estimator"] == e)] for p, e in pair]
    found = compare(pd.concat(queries), few, seed=5)
    images = sorted(set(panel["image_id"]))
    cluster = [images.index(name) for name in queries[0]["image_id"]]
    weights = draw_clusters(len(images), 100, derive_seed(5, "t2i"))
    drawn = np.array([np.subtract(*(values(q, weight[cluster]) for q in queries)) for weight in weights])
    whole = np.subtract(*(values(q, np.ones(len(q), dtype=int)) for q in queries))
    assert list(found["measure"]) == ["neg_sr2", "aurc"]
    for row, draws, difference in zip(found.to_dict("records"), drawn.T, whole, strict=True):
        assert methods_of(row) == pair
        low, high = np.quantile(draws, [0.025, 0.975])
        assert [row["difference"], row["low"], row["high"]] == pytest.approx([difference, low, high], abs=1e-9)
        sides = min((draws <= 0).sum(), (draws >= 0).sum())
        assert row["p_value"] == row["p_holm"] == pytest.approx(min(1, 2 * (sides + 1) / 101))
        assert row["shown"] == (low > 0 if difference > 0 else high < 0)
        assert (row["n_queries"], row["n_clusters"], row["resamples"]) == (len(queries[0]), len(images), 100)


def test_every_pair_of_the_papers_methods_once(found):
    papers = [method for method in METHODS if method[1] != "margin"]
    for _, rows in found.groupby(["direction", "protocol", "measure"]):
        assert [tuple(methods_of(row)) for row in rows.to_dict("records")] == list(combinations(papers, 2))
        np.testing.assert_array_equal(rows["p_holm"], holm(rows["p_value"].to_numpy()))
    assert len(found) == 2 * 2 * 2 * 6
    assert list(found) == COLUMNS[1:]


def test_the_papers_differences(found):
    table = paper_table("table1")
    for row in found.to_dict("records"):
        if row["measure"] == "aurc":
            assert np.isnan(row["paper_difference"])
            assert pd.isna(row["verdict"])
            continue
        names = [(e, KINDS[p], "ViT-L-14", "coco", row["direction"]) for p, e in methods_of(row)]
        expected = round(table.value(*names[0]).neg_sr2 - table.value(*names[1]).neg_sr2, 2)
        assert row["paper_difference"] == expected
        assert row["verdict"] == verdict(row["shown"], row["difference"], expected)


@pytest.mark.parametrize(
    ("shown", "difference", "paper", "expected"),
    [
        (True, 0.1, 0.02, "survives"),
        (True, -0.1, -0.02, "survives"),
        (True, 0.1, -0.02, "reversed"),
        (True, -0.1, 0.02, "reversed"),
        (False, 0.1, 0.02, "not shown"),
        (False, -0.1, 0.02, "not shown"),
        (True, 0.1, 0.0, "tie"),
        (False, 0.1, 0.0, "tie"),
    ],
)
def test_verdicts(shown, difference, paper, expected):
    assert verdict(shown, difference, paper) == expected


def test_a_large_difference_is_shown_and_that_of_twins_is_not():
    better = scored("p", {"top1_similarity": 0.0, "margin": 4.0, "energy": 4.0}, images=400)
    better.loc[better["estimator"] == "energy", "uncertainty"] = better.loc[
        better["estimator"] == "margin", "uncertainty"
    ].to_numpy()
    found = compare(better.assign(posterior="p", kind="imported", architecture=""), SPEC, seed=0)
    aurc = found[found["measure"] == "aurc"].set_index(["protocol", "first_estimator", "second_estimator"])
    for protocol in ("published", "corrected"):
        assert aurc.loc[(protocol, "top1_similarity", "margin"), "shown"]
        assert aurc.loc[(protocol, "top1_similarity", "margin"), "high"] < 0
        twins = aurc.loc[(protocol, "margin", "energy")]
        assert twins[["difference", "low", "high"]].tolist() == [0, 0, 0]
        assert not twins["shown"]
        assert twins["p_holm"] == 1


def test_the_resamples_are_those_behind_the_table():
    """Against the reference of `evaluate`, whose posterior it is, with as many resamples."""
    many = EvaluationSpec.model_validate({"bootstrap": {"resamples": 500}})
    methods = ("top1_similarity", "adversarial_pgd")
    alone = named("l14")
    alone = alone[alone["estimator"].isin(methods)]
    found = compare(alone, many, seed=3)
    metrics = evaluate(alone, many, seed=3).metrics
    for row in found[found["measure"] == "aurc"].to_dict("records"):
        assert row["resamples"] == 500
        theirs = metrics[(metrics["estimator"] == methods[1]) & (metrics["protocol"] == row["protocol"])].iloc[0]
        expected = [-theirs[f"aurc_diff{end}"] for end in ("", "_high", "_low")]
        assert [row["difference"], row["low"], row["high"]] == pytest.approx(expected)
        assert row["p_value"] == theirs["p_value"]


def test_there_are_enough_resamples_for_holm(found):
    """Else no pair, however different, could have an adjusted p-value below the level."""
    assert (found["resamples"] == 480).all()  # six pairs: 4 * 6 / 0.05
    assert (1 - SPEC.bootstrap.level) / 2 >= 6 * 2 / (480 + 1)


def test_a_posterior_may_be_limited_to_a_protocol():
    frames = [
        named("l14", protocols=("corrected",)),
        named("l14", protocols=("published",)).assign(posterior="l14-published"),
        named("l14-dropout"),
    ]
    found = compare(pd.concat(frames, ignore_index=True), SPEC, 0, paper_table("table1"), "coco")
    for protocol, other in (("corrected", "l14"), ("published", "l14-published")):
        rows = found[found["protocol"] == protocol]
        assert {name for row in rows.to_dict("records") for name, _ in methods_of(row)} == {other, "l14-dropout"}
        assert len(rows) == 2 * 6
        assert rows.loc[rows["measure"] == "neg_sr2", "paper_difference"].notna().all()


def test_two_of_ours_for_one_of_the_papers():
    frames = [named("l14"), named("l14", seed=1).assign(posterior="l14-again")]
    first, second = frames
    again = pd.concat([first, second.assign(hit=first["hit"])], ignore_index=True)
    found = compare(again, SPEC, 0, paper_table("table1"), "coco")
    found = found[found["measure"] == "neg_sr2"]
    same = found["first_estimator"] == found["second_estimator"]
    assert same.any()
    assert found.loc[same, "paper_difference"].isna().all()
    assert found.loc[~same, "paper_difference"].notna().all()


def test_without_paper_all_methods_and_of_many_the_first():
    found = compare(named("l14"), SPEC, seed=0)
    assert len(found) == 2 * 2 * 3
    assert found[["paper_difference", "verdict"]].isna().all(axis=None)
    names = ["top1_similarity", "topk_consistency", "adversarial_pgd", "adversarial_linear", "adversarial_exact"]
    many = [
        scored(p, dict.fromkeys(["energy", *names], 0.5), images=20, protocols=("corrected",)).assign(
            posterior=p, kind="mc_dropout", architecture=""
        )
        for p in ("a", "b", "c")
    ]
    found = compare(pd.concat(many, ignore_index=True), SPEC, seed=0)
    compared = {method for row in found.to_dict("records") for method in methods_of(row)}
    assert len(compared) == MOST
    assert {estimator for _, estimator in compared} == set(names[:4])


def test_a_data_set_that_is_no_benchmark_has_the_papers_methods_alone(scores):
    found = compare(scores[scores["direction"] == "t2i"], SPEC, 0, paper_table("table1"))
    assert "margin" not in set(found["first_estimator"]) | set(found["second_estimator"])
    assert found["paper_difference"].isna().all()


def test_methods_that_the_paper_has_not_are_compared_among_themselves():
    found = compare(named("l14", "tiny"), SPEC, 0, paper_table("table1"), "coco")
    assert "margin" in set(found["second_estimator"])
    assert found["paper_difference"].isna().all()


def test_one_method_has_nobody_to_be_compared_with():
    alone = named("l14")
    found = compare(alone[alone["estimator"] == "margin"], SPEC, seed=0)
    assert list(found) == COLUMNS[1:]
    assert found.empty


def test_the_order_of_queries_and_threads_do_not_matter(scores, found):
    keys = ["direction", "protocol", "posterior", "estimator"]
    shuffled = [rows.sample(frac=1, random_state=1) for _, rows in scores.groupby(keys, sort=False)]
    again = compare(pd.concat(shuffled), SPEC, 5, paper_table("table1"), "coco", threads=3)
    pd.testing.assert_frame_equal(again, found)


def test_other_queries_are_refused(scores):
    gone = (scores["posterior"] == "l14-dropout") & (scores["query_id"] == "t2i3")
    with pytest.raises(OvertopError, match=r"of posterior l14-dropout \(published, t2i\) was scored on other queries"):
        compare(scores[~gone], SPEC, seed=0)


def test_broken_uncertainty_is_refused(scores):
    broken = scores.assign(uncertainty=scores["uncertainty"].where(scores["query_id"] != "t2i3"))
    with pytest.raises(OvertopError, match="is nan"):
        compare(broken, SPEC, seed=0)


@pytest.fixture
def job(tmp_path):
    paths = []
    for dataset, images in (("mscoco", 60), ("shapes", 30)):
        for posterior in KINDS:
            frames = [of_posterior(posterior, direction=d, images=images) for d in ("t2i", "i2t")]
            encoder = {"name": "openai", "architecture": "ViT-L-14-quickgelu"}
            path = tmp_path / "results" / "scores" / dataset / "test" / f"{posterior}.parquet"
            provenance = json.dumps({"encoders": [encoder, encoder]})
            write_table(path, pd.concat(frames, ignore_index=True), {"provenance": provenance})
            paths.append(str(path))
    table = {"datasets": ["mscoco", "shapes"], "posteriors": list(KINDS), "reference": "table1"}
    return SimpleNamespace(
        input=SimpleNamespace(scores=paths),
        output=SimpleNamespace(csv=tmp_path / "t-differences.csv", md=tmp_path / "t-differences.md"),
        params=SimpleNamespace(
            spec=table | {"protocols": ["corrected"]},
            evaluation=SPEC.model_dump(mode="json"),
            seed=1,
            benchmarks={"mscoco": "coco", "shapes": None},
            kinds=KINDS,
        ),
        threads=1,
    )


def test_the_script(job):
    script.main(job)
    found = pd.read_csv(job.output.csv)
    assert list(found) == COLUMNS
    assert list(found["dataset"].unique()) == ["mscoco", "shapes"]
    assert set(found["protocol"]) == {"corrected"}
    held = (found["dataset"] == "mscoco") & (found["measure"] == "neg_sr2")
    assert (found["paper_difference"].notna() == held).all()
    assert set(found["first_architecture"]) == {"ViT-L-14"}
    scores = pd.concat([named(p, direction=d) for p in KINDS for d in ("t2i", "i2t")], ignore_index=True)
    seed = derive_seed(1, "bootstrap", "mscoco", "test")
    expected = compare(scores[scores["protocol"] == "corrected"], SPEC, seed, paper_table("table1"), "coco")
    mine = found[found["dataset"] == "mscoco"].drop(columns="dataset").reset_index(drop=True)
    floats = list(expected.select_dtypes("float"))
    expected[floats] = expected[floats].round(DECIMALS)
    pd.testing.assert_frame_equal(mine, expected, check_dtype=False)
    text = job.output.md.read_text()
    assert "### MSCOCO, text to image, corrected protocol" in text
    assert "### Shapes, image to text, corrected protocol" in text


def test_the_script_keeps_to_what_the_table_declares(job):
    job.params.spec |= {"estimators": ["top1_similarity", "margin"], "reference": None, "split": "val"}
    script.main(job)
    found = pd.read_csv(job.output.csv)
    assert set(found["first_estimator"]) | set(found["second_estimator"]) == {"top1_similarity", "margin"}
    assert found["paper_difference"].isna().all()
