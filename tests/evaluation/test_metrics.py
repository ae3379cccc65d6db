import numpy as np
import pandas as pd
import pytest

from overtop.config import EvaluationSpec
from overtop.evaluation.calibration import calibrate
from overtop.evaluation.metrics import evaluate
from overtop.evaluation.rejection import reject


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    frames = []
    for direction, queries in (("t2i", 1200), ("i2t", 240)):
        hit = rng.random(queries) < 0.6
        known = hit | (rng.random(queries) < 0.2)
        rank = np.where(hit, 1, rng.choice([3, 7, np.inf], queries))
        for protocol in ("published", "corrected"):
            uncertainty = rng.random(queries) - 0.3 * hit
            frames.append(
                pd.DataFrame({"uncertainty": uncertainty, "hit": hit, "hit_extended": pd.array(known, dtype="boolean")})
                .assign(rank=rank, rank_extended=np.where(known, 1, rank), tied=rng.random(queries) < 0.1)
                .assign(direction=direction, estimator="e", protocol=protocol)
            )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def test_every_combination_has_its_own_numbers(scores):
    found = evaluate(scores, EvaluationSpec())
    assert len(found.metrics) == 2 * 2 * 2 * 2
    for _, row in found.metrics.iterrows():
        part = scores[(scores["direction"] == row["direction"]) & (scores["protocol"] == row["protocol"])]
        hit = part["hit" if row["positives"] == "labelled" else "hit_extended"].to_numpy(bool)
        bins = calibrate(part["uncertainty"].to_numpy(), hit, 10, row["binning"])
        step = {"published": {"t2i": 500, "i2t": 100}, "corrected": {"t2i": 24, "i2t": 5}}
        curve = reject(part["uncertainty"].to_numpy(), hit, step[row["protocol"]][row["direction"]], row["protocol"])
        expected = (len(hit), hit.mean(), bins.neg_sr2, curve.auc, curve.oracle_auc)
        measured = (row["n_queries"], row["recall_at_1"], row["neg_sr2"], row["rejection_auc"], row["oracle_auc"])
        assert measured == pytest.approx(expected)
        rank = part["rank" if row["positives"] == "labelled" else "rank_extended"]
        assert row["recall_at_5"] == pytest.approx(np.mean([r <= 5 for r in rank]))
        assert row["recall_at_10"] == pytest.approx(np.mean([r <= 10 for r in rank]))
        assert row["n_tied"] == part["tied"].sum()


def test_curves_belong_to_their_metrics(scores):
    found = evaluate(scores, EvaluationSpec())
    keys = ["direction", "estimator", "protocol", "positives"]
    for _, row in found.metrics.iterrows():
        bins = found.calibration[(found.calibration[[*keys, "binning"]] == row[[*keys, "binning"]]).all(axis=1)]
        assert (len(bins), bins["n_queries"].sum()) == (row["n_bins"], row["n_queries"])
        curve = found.rejection[(found.rejection[keys] == row[keys]).all(axis=1)]
        assert curve["recall_at_1"].iloc[0] == pytest.approx(row["recall_at_1"])
        if row["protocol"] == "corrected":
            assert 45 <= len(curve) <= 55


def test_unknown_extended_positives_give_no_rows(scores):
    scores["hit_extended"] = pd.array([pd.NA] * len(scores), dtype="boolean")
    assert set(evaluate(scores, EvaluationSpec()).metrics["positives"]) == {"labelled"}
