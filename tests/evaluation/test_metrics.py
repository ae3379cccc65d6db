import numpy as np
import pandas as pd
import pytest

from overtop.config.evaluation import EvaluationSpec
from overtop.errors import OvertopError
from overtop.evaluation.calibration import calibrate
from overtop.evaluation.metrics import evaluate
from overtop.evaluation.rejection import reject
from overtop.evaluation.selective import selective_measures
from overtop.evaluation.significance import holm

SPEC = EvaluationSpec.model_validate({"bootstrap": {"resamples": 100}})
INTERVALS = [
    "recall_at_1", "spearman", "r2", "neg_sr2", "rejection_auc", "aurc", "eaurc", "augrc", "auroc", "aupr", "coverage",
]  # fmt: skip
KEYS = ["direction", "estimator", "protocol", "positives"]
ESTIMATORS = {"top1_similarity": 0.3, "e": 0.6, "twin": 0.3}  # and how much each knows


def scored(direction, images, per_image, seed=0):
    """Scores as the `score` rule writes them; the twin says what top1_similarity says."""
    rng = np.random.default_rng(seed)
    queries = images * per_image
    hit = rng.random(queries) < 0.6
    known = hit | (rng.random(queries) < 0.2)
    rank = np.where(hit, 1, rng.choice([3, 7, np.inf], queries))
    frame = pd.DataFrame(
        {
            "query_id": [f"q{i}" for i in range(queries)],
            "image_id": [f"i{i // per_image}" for i in range(queries)],
            "direction": direction,
            "hit": hit,
            "hit_extended": pd.array(known, dtype="boolean"),
            "rank": rank,
            "rank_extended": np.where(known, 1, rank),
            "tied": rng.random(queries) < 0.1,
        }
    )
    frames = []
    for protocol in ("published", "corrected"):
        noise = rng.random(queries)
        for estimator, knowledge in ESTIMATORS.items():
            told = (rng.random(queries) if estimator == "e" else noise) - knowledge * hit
            frames.append(frame.assign(estimator=estimator, protocol=protocol, uncertainty=told))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def scores():
    return pd.concat([scored("t2i", 80, 5), scored("i2t", 80, 1)], ignore_index=True)


@pytest.fixture(scope="module")
def found(scores):
    return evaluate(scores, SPEC, seed=0)


def rows_of(frame, row, keys):
    return frame[(frame[keys] == row[keys]).all(axis=1)]


def test_every_combination_has_its_own_numbers(scores, found):
    assert len(found.metrics) == 2 * 3 * 2 * 2 * 2
    assert not found.metrics.duplicated([*KEYS, "binning"]).any()
    step = {"published": {"t2i": 500, "i2t": 100}, "corrected": {"t2i": 8, "i2t": 2}}
    for _, row in found.metrics.iterrows():
        part = rows_of(scores, row, KEYS[:3])
        uncertainty = part["uncertainty"].to_numpy()
        hit = part["hit" if row["positives"] == "labelled" else "hit_extended"].to_numpy(bool)
        bins = calibrate(uncertainty, hit, 10, row["binning"])
        curve = reject(uncertainty, hit, step[row["protocol"]][row["direction"]], row["protocol"])
        selective = selective_measures(uncertainty, hit, SPEC.precision)
        expected = {
            "n_queries": len(hit),
            "n_clusters": 80,
            "recall_at_1": hit.mean(),
            "rejection_auc": curve.auc,
            "oracle_auc": curve.oracle_auc,
            "calibration_defined": True,
        }
        expected |= {name: getattr(bins, name) for name in ("spearman", "r2", "neg_sr2")}
        expected |= {name: getattr(selective, name) for name in INTERVALS[5:]}
        assert {name: row[name] for name in expected} == pytest.approx(expected)
        rank = part["rank" if row["positives"] == "labelled" else "rank_extended"]
        assert row["recall_at_5"] == pytest.approx(np.mean([r <= 5 for r in rank]))
        assert row["recall_at_10"] == pytest.approx(np.mean([r <= 10 for r in rank]))
        assert row["n_tied"] == part["tied"].sum()


def test_curves_belong_to_their_metrics(found):
    for _, row in found.metrics.iterrows():
        bins = rows_of(found.calibration, row, [*KEYS, "binning"])
        assert (len(bins), bins["n_queries"].sum()) == (row["n_bins"], row["n_queries"])
        curve = rows_of(found.rejection, row, KEYS)
        assert curve["recall_at_1"].iloc[0] == pytest.approx(row["recall_at_1"])
        if row["protocol"] == "corrected":
            assert 40 <= len(curve) <= 55


def test_every_number_has_an_interval(found):
    for name in INTERVALS:
        low, high = found.metrics[f"{name}_low"], found.metrics[f"{name}_high"]
        assert (low <= high).all()
        if name not in ("spearman", "r2", "neg_sr2"):  # these are biased: their intervals may miss the number itself
            assert ((low <= found.metrics[name]) & (found.metrics[name] <= high)).all()
        assert (low < high).mean() > 0.9


def test_every_estimator_sees_the_same_resamples(found):
    for _, rows in found.metrics.groupby(["direction", "positives"]):
        assert rows["recall_at_1_low"].nunique() == rows["recall_at_1_high"].nunique() == 1
    twins = found.metrics[found.metrics["estimator"].isin(["top1_similarity", "twin"])]
    for _, rows in twins.groupby(["direction", "protocol", "positives", "binning"]):
        one, other = (part[[f"{name}_high" for name in INTERVALS]] for _, part in rows.groupby("estimator"))
        np.testing.assert_array_equal(one, other)


def test_differences_are_against_the_reference(found):
    by_estimator = found.metrics.set_index([*KEYS, "binning"])
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


def test_a_better_estimator_is_found_out_and_its_test_is_adjusted(found):
    better = found.metrics[(found.metrics["estimator"] == "e") & (found.metrics["direction"] == "t2i")]
    labelled = better[better["positives"] == "labelled"]
    assert (labelled["aurc_diff_high"] < 0).all()
    assert labelled["p_value"].tolist() == pytest.approx([2 / 101] * 4)
    for _, rows in found.metrics.groupby(["direction", "protocol", "positives", "binning"]):
        np.testing.assert_array_equal(rows["p_holm"], holm(rows["p_value"].to_numpy()))


def test_without_the_reference_nothing_is_compared(scores):
    alone = evaluate(scores[scores["estimator"] == "e"], SPEC, seed=0).metrics
    assert alone[["aurc_diff", "aurc_diff_low", "aurc_diff_high", "p_value", "p_holm"]].isna().all(axis=None)
    assert alone["aurc_low"].notna().all()


def test_the_same_bytes_whatever_the_threads_and_others_by_another_seed(scores, found):
    part = scores[scores["direction"] == "i2t"]
    expected = found.metrics[found.metrics["direction"] == "i2t"].reset_index(drop=True)
    again = evaluate(part, SPEC, seed=0, threads=3).metrics
    pd.testing.assert_frame_equal(again, expected, check_exact=True)
    other = evaluate(part, SPEC, seed=1).metrics
    np.testing.assert_array_equal(other["aurc"], expected["aurc"])
    assert (other["aurc_low"] != expected["aurc_low"]).all()


def test_the_order_of_queries_does_not_matter(scores, found):
    order = np.random.default_rng(0).permutation(80)
    parts = [rows.iloc[order] for _, rows in scores[scores["direction"] == "i2t"].groupby(KEYS[:3], sort=False)]
    shuffled = evaluate(pd.concat(parts), SPEC, seed=0).metrics
    expected = found.metrics[found.metrics["direction"] == "i2t"].reset_index(drop=True)
    pd.testing.assert_frame_equal(shuffled, expected)


def test_unknown_extended_positives_give_no_rows(scores):
    unknown = scores.assign(hit_extended=pd.array([pd.NA] * len(scores), dtype="boolean"))
    assert set(evaluate(unknown, SPEC, seed=0).metrics["positives"]) == {"labelled"}


def test_an_undefined_calibration_is_told(scores):
    one = scores[(scores["estimator"] == "e") & (scores["direction"] == "i2t")]
    for degenerate in (one.assign(uncertainty=0.5), one.assign(hit=True)):
        metrics = evaluate(degenerate, SPEC, seed=0).metrics
        row = metrics[metrics["positives"] == "labelled"].iloc[0]
        assert not row["calibration_defined"]
        assert (row["neg_sr2"], row["neg_sr2_low"], row["neg_sr2_high"]) == (0, 0, 0)


def test_one_query(scores):
    alone = scores[(scores["query_id"] == "q0") & (scores["direction"] == "i2t")]
    metrics = evaluate(alone, SPEC, seed=0).metrics
    assert (metrics["n_queries"] == 1).all()
    assert metrics[INTERVALS + [f"{name}_low" for name in INTERVALS]].notna().all(axis=None)


def test_bad_input(scores):
    with pytest.raises(OvertopError, match="no scores"):
        evaluate(scores.iloc[:0], SPEC, seed=0)
    with pytest.raises(OvertopError, match=r"twin \(corrected, i2t\) was scored on other queries"):
        evaluate(scores.iloc[:-1], SPEC, seed=0)
    with pytest.raises(OvertopError, match="query number 3 is nan"):
        evaluate(scores.assign(uncertainty=scores["uncertainty"].where(scores["query_id"] != "q3")), SPEC, seed=0)
