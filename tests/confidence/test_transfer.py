import numpy as np
import pandas as pd
import pytest

from helpers.rankings import make_ranking
from overtop.confidence.thresholds import guaranteed_threshold, sample_one_query_per_image
from overtop.confidence.transfer import (
    BIN_COLUMNS,
    COLUMNS,
    LABELLED,
    THRESHOLD_COLUMNS,
    UNLABELLED,
    ScoredQueries,
    measure_transfers,
)
from overtop.config.evaluation import BootstrapSpec
from overtop.config.operating import OperatingSpec
from overtop.errors import OvertopError
from overtop.seeds import derive_seed

SOFTMAX, SIMILARITY = "max_softmax", "top1_similarity"
OPERATING = OperatingSpec(precisions=[0.7, 0.8])


def make_queries(dataset="photos", n=400, seed=0, gallery=50, split="test", per_image=1, excess=0.0, names=None):
    """Return queries whose softmax is calibrated if `excess` is 0, and too large by about it otherwise."""
    rng = np.random.default_rng(seed)
    n_queries = n * per_image
    chance = rng.beta(1.2, 0.8, n_queries)
    hit = rng.random(n_queries) < np.clip(chance - excess, 0, 1)
    query_ids = [f"{dataset}-{i}" for i in range(n_queries)]
    uncertainty = {SOFTMAX: 1 - chance, SIMILARITY: 1 - 0.2 * chance - 0.02 * rng.random(n_queries)}
    tables = [
        pd.DataFrame(
            {
                "query_id": query_ids,
                "image_id": np.repeat([f"{dataset}/{i}" for i in range(n)], per_image),
                "direction": "t2i",
                "estimator": name,
                "protocol": protocol,
                "uncertainty": uncertainty[name] + (protocol == "published"),
                "hit": hit,
                "absent": ~hit & (np.arange(n_queries) % 2 == 0),
            }
        )
        for name in names or uncertainty
        for protocol in ("published", "corrected")
    ]
    similarity = np.sort(rng.random((n_queries, gallery)) * 0.3, axis=1)[:, ::-1]
    ranking = make_ranking(similarity[:, :5])
    ranking.query_ids[:], ranking.gallery_ids[:] = query_ids, [str(i) for i in range(5)]
    return ScoredQueries(dataset, split, pd.concat(tables, ignore_index=True), {"t2i": ranking}, "photos/train")


def run(labelled, *evaluated, estimators=(SIMILARITY, SOFTMAX), operating=OPERATING):
    return measure_transfers(labelled, evaluated, list(estimators), operating, BootstrapSpec(resamples=100), seed=0)


def select(frame, **values):
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame


@pytest.fixture(scope="module")
def transfers():
    labelled = make_queries(split="val")
    return run(labelled, make_queries(n=300, seed=1), make_queries("other", seed=2, excess=0.2))


def test_tables_have_a_row_per_data_set_estimator_fit_and_target(transfers):
    assert list(transfers.measures) == COLUMNS
    assert list(transfers.thresholds) == THRESHOLD_COLUMNS
    assert list(transfers.bins) == BIN_COLUMNS
    rows = transfers.measures[["dataset", "estimator", "fit"]].to_numpy().tolist()
    assert sorted(rows) == sorted(
        [name, *of_model]
        for name in ("photos", "other")
        for of_model in ((SIMILARITY, LABELLED), (SOFTMAX, LABELLED), (SOFTMAX, UNLABELLED))
    )
    assert len(transfers.thresholds) == 2 * 2 * len(OPERATING.precisions)
    assert transfers.omitted == []
    assert set(transfers.measures["n_labelled"]) == {400}
    assert transfers.measures.groupby("dataset")["n_queries"].unique().map(list).to_dict() == {
        "photos": [300],
        "other": [400],
    }


def test_unlabelled_probability_is_one_minus_the_uncertainty(transfers):
    queries = make_queries(n=300, seed=1)
    scores = select(queries.scores, estimator=SOFTMAX, protocol="corrected")
    row = select(transfers.measures, dataset="photos", fit=UNLABELLED).iloc[0]
    assert row["mapping"] == "softmax"
    assert row["p_right"] == pytest.approx(1 - scores["uncertainty"].mean())
    assert row["accuracy"] == pytest.approx(scores["hit"].mean())
    assert row["brier"] == pytest.approx(((1 - scores["uncertainty"] - scores["hit"]) ** 2).mean())
    assert row["n_absent"] == scores["absent"].sum()


def test_queries_like_the_labelled_ones_are_calibrated_and_others_overconfident(transfers):
    for name in (SIMILARITY, SOFTMAX):
        same, other = (
            select(transfers.measures, dataset=d, fit=LABELLED, estimator=name).iloc[0] for d in ("photos", "other")
        )
        assert abs(same["overconfidence"]) < 0.06
        assert same["ece"] < 2 * same["ece_calibrated"]
        assert other["overconfidence_low"] > 0.1
        assert other["ece"] > 2 * other["ece_calibrated"]


def test_labels_correct_a_probability_that_is_too_large():
    transfers = run(make_queries(split="val", excess=0.2), make_queries(seed=1, excess=0.2), estimators=[SOFTMAX])
    errors = transfers.measures.set_index("fit")["nll"]
    assert errors[LABELLED] < errors[UNLABELLED] - 0.02


def test_thresholds_are_those_of_the_operating_points(transfers):
    labelled = select(make_queries(split="val").scores, estimator=SOFTMAX, protocol="corrected")
    test = select(make_queries(n=300, seed=1).scores, estimator=SOFTMAX, protocol="corrected")
    for target in OPERATING.precisions:
        threshold = guaranteed_threshold(
            labelled["uncertainty"].to_numpy(), labelled["hit"].to_numpy(), target, OPERATING.confidence
        )
        row = select(transfers.thresholds, dataset="photos", estimator=SOFTMAX, target=target).iloc[0]
        answered = [hit for u, hit in zip(test["uncertainty"], test["hit"], strict=True) if u < threshold]
        assert row["threshold"] == threshold
        assert row["labelled_coverage"] == pytest.approx((labelled["uncertainty"] < threshold).mean())
        assert row["coverage"] == pytest.approx(len(answered) / 300)
        assert row["achieved"] == pytest.approx(sum(answered) / len(answered))
        assert row["achieved_low"] <= row["achieved"] <= row["achieved_high"]
        assert row["met"] == (row["achieved"] >= target)


def test_threshold_that_answers_nothing_is_neither_met_nor_missed():
    queries = make_queries(n=60, split="val", excess=0.4)
    row = select(run(queries, queries).thresholds, target=0.8, estimator=SIMILARITY).iloc[0]
    assert row["threshold"] == -np.inf
    assert row["coverage"] == 0
    assert np.isnan(row["achieved"])
    assert row["met"] is pd.NA


def test_one_corrected_query_per_image_is_used():
    queries = make_queries(n=100, per_image=3, split="val")
    transfers = run(queries, queries)
    assert set(transfers.measures["n_queries"]) == set(transfers.measures["n_labelled"]) == {100}
    corrected = select(queries.scores, protocol="corrected")
    sample = sample_one_query_per_image(corrected, derive_seed(0, "operate", "test"))
    row = select(transfers.measures, fit=UNLABELLED).iloc[0]
    assert row["p_right"] == pytest.approx(1 - select(sample, estimator=SOFTMAX)["uncertainty"].mean())


def test_bins_are_those_of_the_measured_probabilities(transfers):
    for _, row in transfers.measures.iterrows():
        keys = ["dataset", "direction", "estimator", "fit"]
        bins = select(transfers.bins, **row[keys].to_dict())
        points, curve = (select(bins, curve=name) for name in ("reliability", "coverage"))
        assert points["n_queries"].sum() == row["n_queries"]
        for name in ("p_right", "accuracy"):
            assert np.average(points[name], weights=points["n_queries"]) == pytest.approx(row[name])
        assert set(bins["ece"]) == {row["ece"]}
        assert curve["coverage"].is_monotonic_decreasing


def test_drift_of_the_similarities_is_zero_on_the_labelled_queries_and_reported_on_others():
    labelled = make_queries(split="val")
    shifted = make_queries("shifted", seed=1)
    shifted.rankings["t2i"].top_scores[:] -= 0.1
    measures = run(labelled, labelled, shifted).measures.drop_duplicates("dataset").set_index("dataset")
    assert measures.loc["photos", "drift"] < 0.05
    assert not measures.loc["photos", "unlike_labelled"]
    assert measures.loc["shifted", "drift"] > 0.9
    assert measures.loc["shifted", "unlike_labelled"]


def test_estimator_without_scores_is_left_out_with_a_line():
    labelled = make_queries(split="val")
    transfers = run(labelled, make_queries("other", names=[SOFTMAX]), estimators=[SIMILARITY, SOFTMAX, "bank_nnn"])
    assert transfers.omitted == ["bank_nnn: no scores on photos/val", "top1_similarity: no scores on other/test"]
    assert set(transfers.measures["estimator"]) == {SOFTMAX}


def test_study_without_any_scores_is_an_error():
    with pytest.raises(OvertopError, match="bank_nnn: no scores on photos/val; name estimators"):
        run(make_queries(split="val"), make_queries(), estimators=["bank_nnn"])


def test_same_input_gives_the_same_tables():
    first, second = (run(make_queries(split="val"), make_queries(seed=1)) for _ in range(2))
    pd.testing.assert_frame_equal(first.measures, second.measures)


def test_softmax_mapping_is_used_only_where_the_estimator_is_a_probability():
    operating = OperatingSpec(precisions=[0.9], mapping="softmax")
    measures = run(make_queries(split="val"), make_queries(seed=1), operating=operating).measures
    mappings = select(measures, fit=LABELLED).set_index("estimator")["mapping"]
    assert mappings[SOFTMAX] == "softmax"
    assert mappings[SIMILARITY] in ("logistic", "isotonic")
