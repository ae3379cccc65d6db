import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, rankdata

from overtop.config.evaluation import EvaluationSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.calibration import measure_calibration
from overtop.evaluation.metrics import evaluate
from overtop.evaluation.rejection import measure_rejection
from overtop.evaluation.selective import measure_selective_prediction
from overtop.evaluation.significance import adjust_holm, symmetric_interval
from overtop.seeds import derive_seed
from overtop.storage.tables import read_long_table, read_table, write_table

SPEC = EvaluationSpec.model_validate({"bootstrap": {"resamples": 100}})
INTERVALS = [
    "recall_at_1", "recall_at_5", "recall_at_10", "spearman", "r2", "neg_sr2", "rejection_auc",
    "aurc", "eaurc", "augrc", "auroc", "aupr", "coverage", "tau_b", "smare",
]  # fmt: skip
CALIBRATION = ["spearman", "r2", "neg_sr2"]
KEYS = ["direction", "estimator", "protocol", "positives"]
ESTIMATORS = {"top1_similarity": 0.3, "e": 0.6, "twin": 0.3}
"""How strongly the uncertainty of each estimator depends on the hits."""


def make_scores(direction, images, per_image, seed=0):
    """Return a random score table in which `twin` has the uncertainties of `top1_similarity`."""
    rng = np.random.default_rng(seed)
    queries = images * per_image
    hit = rng.random(queries) < 0.6
    hit_extended = hit | (rng.random(queries) < 0.2)
    rank = np.where(hit, 1, rng.choice([3, 7, np.inf], queries))
    frame = pd.DataFrame(
        {
            "query_id": [f"q{i}" for i in range(queries)],
            "image_id": [f"i{i // per_image}" for i in range(queries)],
            "direction": direction,
            "hit": hit,
            "hit_extended": pd.array(hit_extended, dtype="boolean"),
            "rank": rank,
            "rank_extended": np.where(hit_extended, 1, rank),
            "tied": rng.random(queries) < 0.1,
            "absent": ~hit & (rng.random(queries) < 0.5),
        }
    )
    frames = []
    for protocol in ("published", "corrected"):
        noise = rng.random(queries)
        for estimator, effect in ESTIMATORS.items():
            uncertainty = (rng.random(queries) if estimator == "e" else noise) - effect * hit
            frames.append(frame.assign(estimator=estimator, protocol=protocol, uncertainty=uncertainty))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def scores():
    return pd.concat([make_scores("t2i", 80, 5), make_scores("i2t", 80, 1)], ignore_index=True)


@pytest.fixture(scope="module")
def evaluation(scores):
    return evaluate(scores, SPEC, seed=0)


def test_eccv_recall_is_a_column_of_all_rows_of_its_direction(scores, evaluation):
    assert not any("eccv" in column for column in evaluation.metrics)
    judged = scores.assign(hit_eccv=np.where(scores["direction"] == "t2i", scores["hit"], np.nan))
    metrics = evaluate(judged, SPEC, seed=0).metrics
    assert len(metrics) == len(evaluation.metrics)
    t2i = metrics["direction"] == "t2i"
    assert (metrics.loc[t2i, "n_eccv_queries"] == 400).all()
    labelled = metrics["positives"] == "labelled"
    assert (metrics.loc[t2i & labelled, "eccv_recall_at_1"] == metrics.loc[t2i & labelled, "recall_at_1"]).all()
    assert metrics.loc[~t2i, "eccv_recall_at_1"].isna().all()


def rows_of(frame, row, keys):
    return frame[(frame[keys] == row[keys]).all(axis=1)]


def test_row_has_the_measures_of_its_combination(scores, evaluation):
    assert len(evaluation.metrics) == 2 * 3 * 2 * 2 * 2
    assert not evaluation.metrics.duplicated([*KEYS, "binning"]).any()
    step = {"published": {"t2i": 500, "i2t": 100}, "corrected": {"t2i": 8, "i2t": 2}}
    for _, row in evaluation.metrics.iterrows():
        part = rows_of(scores, row, KEYS[:3])
        uncertainty = part["uncertainty"].to_numpy()
        hit = part["hit" if row["positives"] == "labelled" else "hit_extended"].to_numpy(bool)
        bins = measure_calibration(uncertainty, hit, 10, row["binning"], row["protocol"])
        curve = measure_rejection(uncertainty, hit, step[row["protocol"]][row["direction"]], row["protocol"])
        selective = measure_selective_prediction(uncertainty, hit, SPEC.precision)
        expected = {
            "n_queries": len(hit),
            "n_absent": part["absent"].sum(),
            "absent": part["absent"].mean(),
            "n_clusters": 80,
            "recall_at_1": hit.mean(),
            "rejection_auc": curve.auc,
            "oracle_auc": curve.oracle_auc,
            "calibration_defined": True,
        }
        expected |= {name: getattr(bins, name) for name in ("spearman", "r2", "neg_sr2")}
        expected |= {name: getattr(selective, name) for name in INTERVALS[7:-2]}
        assert {name: row[name] for name in expected} == pytest.approx(expected)
        rank = part["rank" if row["positives"] == "labelled" else "rank_extended"]
        assert row["recall_at_5"] == pytest.approx(np.mean([r <= 5 for r in rank]))
        assert row["recall_at_10"] == pytest.approx(np.mean([r <= 10 for r in rank]))
        assert row["tau_b"] == pytest.approx(kendalltau(-uncertainty, 1 / rank).statistic)
        assert row["smare"] == pytest.approx(np.mean(np.abs(rankdata(-uncertainty) - rankdata(1 / rank))) / len(rank))
        assert row["n_tied"] == part["tied"].sum()


def test_curves_match_their_metrics(evaluation):
    for _, row in evaluation.metrics.iterrows():
        bins = rows_of(evaluation.calibration, row, [*KEYS, "binning"])
        assert (len(bins), bins["n_queries"].sum()) == (row["n_bins"], row["n_queries"])
        curve = rows_of(evaluation.rejection, row, KEYS)
        assert curve["recall_at_1"].iloc[0] == pytest.approx(row["recall_at_1"])
        if row["protocol"] == "corrected":
            assert 40 <= len(curve) <= 55


def test_measures_have_intervals(evaluation):
    for name in INTERVALS:
        low, high = evaluation.metrics[f"{name}_low"], evaluation.metrics[f"{name}_high"]
        assert (low <= high).all()
        assert ((low <= evaluation.metrics[name]) & (evaluation.metrics[name] <= high)).all()
        assert (low < high).mean() > 0.9


def test_recall_intervals_equal_a_loop_over_resamples(scores, evaluation):
    image = np.repeat(np.arange(80), 5)
    names = sorted({f"i{i}" for i in range(80)})
    cluster = np.array([names.index(f"i{i}") for i in image])
    weights = draw_cluster_weights(80, 100, derive_seed(0, "t2i"))
    for row in evaluation.metrics[evaluation.metrics["direction"] == "t2i"].to_dict("records"):
        part = rows_of(scores, pd.Series(row), KEYS[:3])
        rank = part["rank" if row["positives"] == "labelled" else "rank_extended"].to_numpy()
        for k in (5, 10):
            draws = np.array([np.repeat(rank <= k, weight[cluster]).mean() for weight in weights])
            expected = symmetric_interval((rank <= k).mean(), draws, 0.95, (0, 1))
            assert [row[f"recall_at_{k}_low"], row[f"recall_at_{k}_high"]] == pytest.approx(expected, abs=1e-12)


def test_estimators_have_the_same_resamples(evaluation):
    for _, rows in evaluation.metrics.groupby(["direction", "positives"]):
        assert rows["recall_at_1_low"].nunique() == rows["recall_at_1_high"].nunique() == 1
    twins = evaluation.metrics[evaluation.metrics["estimator"].isin(["top1_similarity", "twin"])]
    for _, rows in twins.groupby(["direction", "protocol", "positives", "binning"]):
        first, second = (part[[f"{name}_high" for name in INTERVALS]] for _, part in rows.groupby("estimator"))
        np.testing.assert_array_equal(first, second)


def test_differences_are_from_the_reference_estimator(evaluation):
    by_estimator = evaluation.metrics.set_index([*KEYS, "binning"])
    differences = [f"{name}_diff{end}" for name in ("aurc", "rejection_auc") for end in ("", "_low", "_high")]
    for key, row in by_estimator.iterrows():
        direction, estimator, *rest = key
        reference = by_estimator.loc[(direction, "top1_similarity", *rest)]
        if estimator == "top1_similarity":
            assert row[[*differences, "p_value", "p_holm"]].isna().all()
        elif estimator == "twin":
            assert row[differences].tolist() == [0] * 6
            assert row["p_value"] == row["p_holm"] == 1
        else:
            for name in ("aurc", "rejection_auc"):
                assert row[f"{name}_diff"] == pytest.approx(row[name] - reference[name])
                assert row[f"{name}_diff_low"] <= row[f"{name}_diff"] <= row[f"{name}_diff_high"]


def test_better_estimator_has_a_small_and_adjusted_p_value(evaluation):
    better = evaluation.metrics[(evaluation.metrics["estimator"] == "e") & (evaluation.metrics["direction"] == "t2i")]
    labelled = better[better["positives"] == "labelled"]
    assert (labelled["aurc_diff_high"] < 0).all()
    assert labelled["p_value"].tolist() == pytest.approx([1 / 101] * 4)
    for _, rows in evaluation.metrics.groupby(["direction", "protocol", "positives", "binning"]):
        np.testing.assert_array_equal(rows["p_holm"], adjust_holm(rows["p_value"].to_numpy()))


def test_differences_without_the_reference_are_missing(scores):
    alone = evaluate(scores[scores["estimator"] == "e"], SPEC, seed=0).metrics
    assert alone[["aurc_diff", "aurc_diff_low", "aurc_diff_high", "p_value", "p_holm"]].isna().all(axis=None)
    assert alone["aurc_low"].notna().all()


def test_metrics_depend_on_the_seed_but_not_on_threads(scores, evaluation):
    part = scores[scores["direction"] == "i2t"]
    expected = evaluation.metrics[evaluation.metrics["direction"] == "i2t"].reset_index(drop=True)
    again = evaluate(part, SPEC, seed=0, threads=3).metrics
    pd.testing.assert_frame_equal(again, expected, check_exact=True)
    other = evaluate(part, SPEC, seed=1).metrics
    np.testing.assert_array_equal(other["aurc"], expected["aurc"])
    assert (other["aurc_low"] != expected["aurc_low"]).all()


def test_metrics_do_not_depend_on_the_order_of_queries(scores, evaluation):
    order = np.random.default_rng(0).permutation(80)
    parts = [rows.iloc[order] for _, rows in scores[scores["direction"] == "i2t"].groupby(KEYS[:3], sort=False)]
    shuffled = evaluate(pd.concat(parts), SPEC, seed=0).metrics
    expected = evaluation.metrics[evaluation.metrics["direction"] == "i2t"].reset_index(drop=True)
    pd.testing.assert_frame_equal(shuffled, expected)


def test_evaluation_of_categories_is_that_of_texts(tmp_path, scores):
    interleaved = scores.sample(frac=1, random_state=0).sort_values(["query_id", "image_id"], kind="stable")
    interleaved = interleaved.assign(hit_eccv=interleaved["hit_extended"])
    write_table(tmp_path / "scores.parquet", interleaved)
    texts = evaluate(read_table(tmp_path / "scores.parquet"), SPEC, seed=0)
    categories = evaluate(read_long_table(tmp_path / "scores.parquet"), SPEC, seed=0)
    for name in ("metrics", "calibration", "rejection"):
        pd.testing.assert_frame_equal(getattr(categories, name), getattr(texts, name))


def test_missing_extended_positives_give_no_rows(scores):
    unknown = scores.assign(hit_extended=pd.array([pd.NA] * len(scores), dtype="boolean"))
    assert set(evaluate(unknown, SPEC, seed=0).metrics["positives"]) == {"labelled"}


def test_undefined_calibration_is_marked(scores):
    one = scores[(scores["estimator"] == "e") & (scores["direction"] == "i2t")]
    for degenerate in (one.assign(uncertainty=0.5), one.assign(hit=True)):
        metrics = evaluate(degenerate, SPEC, seed=0).metrics
        row = metrics[metrics["positives"] == "labelled"].iloc[0]
        assert not row["calibration_defined"]
        assert row[[name + end for name in CALIBRATION for end in ("", "_low", "_high")]].isna().all()
        assert row[[f"aurc{end}" for end in ("", "_low", "_high")]].notna().all()


def test_one_query_has_all_measures(scores):
    alone = scores[(scores["query_id"] == "q0") & (scores["direction"] == "i2t")]
    metrics = evaluate(alone, SPEC, seed=0).metrics
    assert (metrics["n_queries"] == 1).all()
    others = [name for name in INTERVALS if name not in CALIBRATION]
    assert metrics[others + [f"{name}_low" for name in others]].notna().all(axis=None)
    assert metrics[CALIBRATION].isna().all(axis=None)


def test_invalid_input_is_rejected(scores):
    with pytest.raises(OvertopError, match="no scores"):
        evaluate(scores.iloc[:0], SPEC, seed=0)
    with pytest.raises(OvertopError, match=r"twin \(corrected, i2t\) was scored on other queries"):
        evaluate(scores.iloc[:-1], SPEC, seed=0)
    with pytest.raises(OvertopError, match="query number 3 is nan"):
        evaluate(scores.assign(uncertainty=scores["uncertainty"].where(scores["query_id"] != "q3")), SPEC, seed=0)
