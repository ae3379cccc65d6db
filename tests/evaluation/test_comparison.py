"""Paired differences against a loop over resamples."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from overtop.config.evaluation import EvaluationSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.calibration import measure_calibration
from overtop.evaluation.comparison import COLUMNS, MAX_METHODS, compare_methods
from overtop.evaluation.metrics import evaluate
from overtop.evaluation.selective import measure_selective_prediction
from overtop.evaluation.significance import adjust_holm
from overtop.evaluation.verdicts import paper_verdict
from overtop.reference.paper import read_paper_table
from overtop.seeds import derive_seed

SPEC = EvaluationSpec.model_validate({"bootstrap": {"resamples": 300}})
KINDS = {"l14": "deterministic", "l14-dropout": "mc_dropout"}
METHODS = {
    ("l14", "top1_similarity"): 1.0,
    ("l14", "adversarial_pgd"): 0.3,
    ("l14", "margin"): 0.5,
    ("l14-dropout", "top1_consistency"): 0.5,
    ("l14-dropout", "adversarial_linear"): 0.4,
}
"""Noise in the uncertainty of each method."""
SIDES = ("first", "second")


def make_scores(posterior, methods, direction="t2i", images=60, protocols=("published", "corrected"), seed=0):
    """Return a random score table; only adversarial_pgd differs between the protocols."""
    rng = np.random.default_rng([seed, len(posterior)])
    each = 3 if direction == "t2i" else 1
    image = np.repeat(np.arange(images), each)
    difficulty = np.random.default_rng(seed).normal(size=images)[image]
    hit = difficulty + rng.normal(size=len(image)) < 0.3
    frames = []
    for estimator, noise in methods.items():
        uncertainty = difficulty + noise * rng.normal(size=len(image))
        if "consistency" in estimator:
            uncertainty = np.round(uncertainty * 4) / 4
        for protocol in protocols:
            shift = (
                0.2 * rng.normal(size=len(image)) if (estimator, protocol) == ("adversarial_pgd", "corrected") else 0
            )
            frames.append(
                pd.DataFrame(
                    {
                        "query_id": [f"{direction}{i}" for i in range(len(image))],
                        "image_id": [f"i{i}" for i in image],
                        "direction": direction,
                        "estimator": estimator,
                        "protocol": protocol,
                        "uncertainty": uncertainty + shift,
                        "hit": hit,
                        "hit_extended": pd.array([pd.NA] * len(image), dtype="boolean"),
                        "rank": np.where(hit, 1, 7),
                        "rank_extended": np.nan,
                        "tied": False,
                        "absent": False,
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def posterior_scores(posterior, **options):
    methods = {estimator: noise for (name, estimator), noise in METHODS.items() if name == posterior}
    return make_scores(posterior, methods, **options)


def method_scores(posterior, architecture="ViT-L-14", **options):
    return posterior_scores(posterior, **options).assign(
        posterior=posterior, kind=KINDS[posterior], architecture=architecture
    )


@pytest.fixture(scope="module")
def scores():
    frames = [method_scores(p, direction=d) for p in KINDS for d in ("t2i", "i2t")]
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def differences(scores):
    return compare_methods(scores, SPEC, seed=5, paper=read_paper_table("table1"), benchmark="coco")


def methods_of(row):
    return [(row[f"{side}_posterior"], row[f"{side}_estimator"]) for side in SIDES]


def compared_measures(queries, copies):
    """Return -S R2 and AURC of the queries, each repeated by its number of copies."""
    uncertainty, hit = (np.repeat(queries[column].to_numpy(), copies) for column in ("uncertainty", "hit"))
    selective = measure_selective_prediction(uncertainty, hit, SPEC.precision)
    return measure_calibration(uncertainty, hit, SPEC.bins).neg_sr2, selective.aurc


def test_differences_equal_a_loop_over_resamples(scores):
    few = EvaluationSpec.model_validate({"bootstrap": {"resamples": 100}})
    pair = [("l14", "adversarial_pgd"), ("l14-dropout", "top1_consistency")]
    panel = scores[(scores["direction"] == "t2i") & (scores["protocol"] == "corrected")]
    queries = [panel[(panel["posterior"] == p) & (panel["estimator"] == e)] for p, e in pair]
    differences = compare_methods(pd.concat(queries), few, seed=5)
    images = sorted(set(panel["image_id"]))
    cluster = [images.index(name) for name in queries[0]["image_id"]]
    weights = draw_cluster_weights(len(images), 100, derive_seed(5, "t2i"))
    all_draws = np.array([np.subtract(*(compared_measures(q, weight[cluster]) for q in queries)) for weight in weights])
    whole = np.subtract(*(compared_measures(q, np.ones(len(q), dtype=int)) for q in queries))
    assert list(differences["measure"]) == ["neg_sr2", "aurc"]
    for row, draws, difference in zip(differences.to_dict("records"), all_draws.T, whole, strict=True):
        assert methods_of(row) == pair
        radius = np.sort(abs(draws - difference))[95]
        expected = [difference, difference - radius, difference + radius]
        assert [row["difference"], row["low"], row["high"]] == pytest.approx(expected, abs=1e-9)
        farther = (abs(draws - difference) >= abs(difference)).sum()
        assert row["p_value"] == row["p_holm"] == pytest.approx((farther + 1) / 101)
        assert row["shown"] == (radius < abs(difference))  # one pair: no adjustment
        assert (row["n_queries"], row["n_clusters"], row["resamples"]) == (len(queries[0]), len(images), 100)


def test_every_pair_of_the_papers_methods_has_one_row(differences):
    in_paper = [method for method in METHODS if method[1] != "margin"]
    for _, rows in differences.groupby(["direction", "protocol", "measure"]):
        assert [tuple(methods_of(row)) for row in rows.to_dict("records")] == list(combinations(in_paper, 2))
        np.testing.assert_array_equal(rows["p_holm"], adjust_holm(rows["p_value"].to_numpy()))
    assert len(differences) == 2 * 2 * 2 * 6
    assert list(differences) == COLUMNS[1:]


def test_difference_is_shown_if_it_is_significant_after_holms_adjustment(differences):
    excludes_zero = (differences["low"] > 0) | (differences["high"] < 0)
    assert differences["shown"].equals(differences["p_holm"] < 0.05)
    assert excludes_zero.equals(differences["p_value"] < 0.05)
    assert excludes_zero[differences["shown"]].all()
    assert (excludes_zero & ~differences["shown"]).any()  # excludes zero without the adjustment only
    shown = differences[differences["shown"]]
    assert len(shown)
    assert (np.sign(shown["low"]) == np.sign(shown["difference"])).all()
    assert differences["difference"].between(differences["low"], differences["high"]).all()
    papers = differences[differences["verdict"].notna() & (differences["paper_difference"] != 0)]
    assert (papers["verdict"].isin(["survives", "reversed"]) == papers["shown"]).all()


def test_difference_from_an_undefined_calibration_is_missing_and_not_shown():
    scores = make_scores("p", {"top1_similarity": 0.3, "margin": 0.3}, protocols=("corrected",))
    constant = scores["estimator"] == "margin"
    scores.loc[constant, "uncertainty"] = 0.5
    rows = compare_methods(scores.assign(posterior="p", kind="imported", architecture=""), SPEC, seed=0)
    neg_sr2, aurc = rows.set_index("measure").loc[["neg_sr2", "aurc"]].to_dict("records")
    assert np.isnan([neg_sr2[name] for name in ("difference", "low", "high", "p_value", "p_holm")]).all()
    assert not neg_sr2["shown"]
    assert np.isfinite([aurc[name] for name in ("difference", "low", "high", "p_value", "p_holm")]).all()


def test_paper_differences_equal_the_table(differences):
    table = read_paper_table("table1")
    for row in differences.to_dict("records"):
        if row["measure"] == "aurc":
            assert np.isnan(row["paper_difference"])
            assert pd.isna(row["verdict"])
            continue
        names = [(e, KINDS[p], "ViT-L-14", "coco", row["direction"]) for p, e in methods_of(row)]
        expected = round(table.value(*names[0]).neg_sr2 - table.value(*names[1]).neg_sr2, 2)
        assert row["paper_difference"] == expected
        assert row["verdict"] == paper_verdict(row["shown"], row["difference"], expected)


def test_large_difference_is_shown_and_that_of_equal_methods_is_not():
    better = make_scores("p", {"top1_similarity": 0.0, "margin": 4.0, "energy": 4.0}, images=400)
    better.loc[better["estimator"] == "energy", "uncertainty"] = better.loc[
        better["estimator"] == "margin", "uncertainty"
    ].to_numpy()
    differences = compare_methods(better.assign(posterior="p", kind="imported", architecture=""), SPEC, seed=0)
    aurc = differences[differences["measure"] == "aurc"].set_index(["protocol", "first_estimator", "second_estimator"])
    for protocol in ("published", "corrected"):
        assert aurc.loc[(protocol, "top1_similarity", "margin"), "shown"]
        assert aurc.loc[(protocol, "top1_similarity", "margin"), "high"] < 0
        twins = aurc.loc[(protocol, "margin", "energy")]
        assert twins[["difference", "low", "high"]].tolist() == [0, 0, 0]
        assert not twins["shown"]
        assert twins["p_holm"] == 1


def test_resamples_are_those_of_the_metrics():
    """Compared with the differences of `evaluate` from its reference estimator, with the same number of resamples."""
    many = EvaluationSpec.model_validate({"bootstrap": {"resamples": 500}})
    methods = ("top1_similarity", "adversarial_pgd")
    alone = method_scores("l14")
    alone = alone[alone["estimator"].isin(methods)]
    differences = compare_methods(alone, many, seed=3)
    metrics = evaluate(alone, many, seed=3).metrics
    for row in differences[differences["measure"] == "aurc"].to_dict("records"):
        assert row["resamples"] == 500
        reported = metrics[(metrics["estimator"] == methods[1]) & (metrics["protocol"] == row["protocol"])].iloc[0]
        expected = [-reported[f"aurc_diff{end}"] for end in ("", "_high", "_low")]
        assert [row["difference"], row["low"], row["high"]] == pytest.approx(expected)
        assert row["p_value"] == reported["p_value"]


def test_resamples_suffice_for_holm(differences):
    """Otherwise no pair, however different, could have an adjusted p-value below the level."""
    assert (differences["resamples"] == 480).all()  # six pairs: 4 * 6 / 0.05
    smallest_p_value = 1 / (differences["resamples"] + 1)
    assert (6 * smallest_p_value <= (1 - SPEC.bootstrap.level) / 4).all()


def test_posterior_of_one_protocol_is_compared_under_it():
    frames = [
        method_scores("l14", protocols=("corrected",)),
        method_scores("l14", protocols=("published",)).assign(posterior="l14-published"),
        method_scores("l14-dropout"),
    ]
    differences = compare_methods(pd.concat(frames, ignore_index=True), SPEC, 0, read_paper_table("table1"), "coco")
    for protocol, other in (("corrected", "l14"), ("published", "l14-published")):
        rows = differences[differences["protocol"] == protocol]
        assert {name for row in rows.to_dict("records") for name, _ in methods_of(row)} == {other, "l14-dropout"}
        assert len(rows) == 2 * 6
        assert rows.loc[rows["measure"] == "neg_sr2", "paper_difference"].notna().all()


def test_two_posteriors_of_one_paper_method_have_no_paper_difference():
    frames = [method_scores("l14"), method_scores("l14", seed=1).assign(posterior="l14-again")]
    first, second = frames
    again = pd.concat([first, second.assign(hit=first["hit"])], ignore_index=True)
    differences = compare_methods(again, SPEC, 0, read_paper_table("table1"), "coco")
    differences = differences[differences["measure"] == "neg_sr2"]
    same = differences["first_estimator"] == differences["second_estimator"]
    assert same.any()
    assert differences.loc[same, "paper_difference"].isna().all()
    assert differences.loc[~same, "paper_difference"].notna().all()


def test_without_paper_the_first_methods_are_compared():
    differences = compare_methods(method_scores("l14"), SPEC, seed=0)
    assert len(differences) == 2 * 2 * 3
    assert differences[["paper_difference", "verdict"]].isna().all(axis=None)
    names = ["top1_similarity", "topk_consistency", "adversarial_pgd", "adversarial_linear", "adversarial_exact"]
    many = [
        make_scores(p, dict.fromkeys(["energy", *names], 0.5), images=20, protocols=("corrected",)).assign(
            posterior=p, kind="mc_dropout", architecture=""
        )
        for p in ("a", "b", "c")
    ]
    differences = compare_methods(pd.concat(many, ignore_index=True), SPEC, seed=0)
    compared = {method for row in differences.to_dict("records") for method in methods_of(row)}
    assert len(compared) == MAX_METHODS
    assert {estimator for _, estimator in compared} == set(names[:4])


def test_data_set_without_benchmark_has_the_papers_methods_and_no_paper_differences(scores):
    differences = compare_methods(scores[scores["direction"] == "t2i"], SPEC, 0, read_paper_table("table1"))
    assert "margin" not in set(differences["first_estimator"]) | set(differences["second_estimator"])
    assert differences["paper_difference"].isna().all()


def test_methods_not_in_the_paper_are_all_compared():
    differences = compare_methods(method_scores("l14", "tiny"), SPEC, 0, read_paper_table("table1"), "coco")
    assert "margin" in set(differences["second_estimator"])
    assert differences["paper_difference"].isna().all()


def test_one_method_gives_no_rows():
    alone = method_scores("l14")
    differences = compare_methods(alone[alone["estimator"] == "margin"], SPEC, seed=0)
    assert list(differences) == COLUMNS[1:]
    assert differences.empty


def test_differences_do_not_depend_on_the_order_of_queries_or_on_threads(scores, differences):
    keys = ["direction", "protocol", "posterior", "estimator"]
    shuffled = [rows.sample(frac=1, random_state=1) for _, rows in scores.groupby(keys, sort=False)]
    again = compare_methods(pd.concat(shuffled), SPEC, 5, read_paper_table("table1"), "coco", threads=3)
    pd.testing.assert_frame_equal(again, differences)


def test_different_queries_are_rejected(scores):
    removed = (scores["posterior"] == "l14-dropout") & (scores["query_id"] == "t2i3")
    with pytest.raises(OvertopError, match=r"of posterior l14-dropout \(published, t2i\) was scored on other queries"):
        compare_methods(scores[~removed], SPEC, seed=0)


def test_uncertainty_that_is_not_finite_is_rejected(scores):
    broken = scores.assign(uncertainty=scores["uncertainty"].where(scores["query_id"] != "t2i3"))
    with pytest.raises(OvertopError, match="is nan"):
        compare_methods(broken, SPEC, seed=0)
