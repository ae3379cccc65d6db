"""The script end to end: rankings and scores of two random splits as input, one table as output."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.confidence.operating import COLUMNS
from overtop.confidence.thresholds import evaluate_thresholds, sample_one_query_per_image
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import score_direction
from overtop.retrieval.exact import rank
from overtop.retrieval.ranking import write_ranking
from overtop.seeds import derive_seed
from overtop.storage.shards import ArraySource
from overtop.storage.split import Split, write_split
from overtop.storage.tables import write_table
from overtop.terms import DIRECTIONS

operate = load_script("operate")

N_IMAGES, CAPTIONS_PER_IMAGE = 60, 3
TARGETS = [0.6, 0.9]


def write_results(folder, role, seed, extended):
    """Write a random split, its ranking and its scores."""
    rng = np.random.default_rng(seed)
    image_of_caption = np.repeat(np.arange(N_IMAGES), CAPTIONS_PER_IMAGE)
    images = rng.normal(size=(N_IMAGES, 8)).astype(np.float32)
    captions = (images[image_of_caption] + 0.7 * rng.normal(size=(len(image_of_caption), 8))).astype(np.float32)
    image_ids = [f"{role}{i}" for i in range(N_IMAGES)]
    caption_ids = [f"{role}{i}-{j}" for i in range(N_IMAGES) for j in range(CAPTIONS_PER_IMAGE)]
    split = Split(image_ids, image_ids, caption_ids, ["words"] * len(image_of_caption), image_of_caption, extended)
    rankings = rank(ArraySource([images], image_ids), ArraySource([captions], caption_ids), top=20, device="cpu")
    scores = [score_direction(split, d, EstimatorInputs(rankings[d]), ["top1_similarity"]) for d in DIRECTIONS]
    write_split(folder / f"{role}.parquet", split)
    write_ranking(folder / f"{role}.h5", rankings, {})
    write_table(folder / f"{role}-scores.parquet", pd.concat(scores, ignore_index=True))


def make_job(folder, extended=None):
    """Write the results on both splits and return a job that reads them."""
    files = {}
    for seed, role in enumerate(("val", "test")):
        write_results(folder, role, seed, extended)
        files |= {
            f"{role}_split": folder / f"{role}.parquet",
            f"{role}_ranking": folder / f"{role}.h5",
            f"{role}_scores": folder / f"{role}-scores.parquet",
        }
    return SimpleNamespace(
        input=SimpleNamespace(**files),
        output=[folder / "operating.parquet"],
        params=SimpleNamespace(precisions=TARGETS, confidence=0.9, seed=0),
        wildcards=SimpleNamespace(dataset="d", posterior="p"),
    )


@pytest.fixture
def job(tmp_path):
    return make_job(tmp_path)


def test_table_has_one_row_per_operating_point(job):
    operate.main(job)
    table = pd.read_parquet(job.output[0])
    assert list(table) == [*COLUMNS, "dataset", "posterior"]
    for direction in DIRECTIONS:
        rows = table[table["direction"] == direction]
        n_protocols = rows["protocol"].nunique()
        assert rows["form"].value_counts().to_dict() == {"guaranteed_precision": 2 * n_protocols, "conformal_set": 2}
    assert (table["n_test"] == N_IMAGES).all()
    assert set(table["positives"]) == {"labelled"}
    assert table["achieved_low"].notna().all()


def test_columns_of_the_other_form_are_missing(job):
    operate.main(job)
    table = pd.read_parquet(job.output[0])
    sets, thresholds = (table[table["form"] == form] for form in ("conformal_set", "guaranteed_precision"))
    assert sets[["estimator", "protocol", "coverage", "validation_coverage"]].isna().all(axis=None)
    assert thresholds[["mean_set_size", "median_set_size", "share_censored"]].isna().all(axis=None)


def test_extended_positives_have_their_own_rows(tmp_path):
    image_of_caption = np.repeat(np.arange(N_IMAGES), CAPTIONS_PER_IMAGE)
    rng = np.random.default_rng(2)
    job = make_job(tmp_path, [np.unique([image, *rng.integers(0, N_IMAGES, 20)]) for image in image_of_caption])
    operate.main(job)
    table = pd.read_parquet(job.output[0])
    for form in ("guaranteed_precision", "conformal_set"):
        rows = table[table["form"] == form].set_index(["positives", "direction", "target"])
        labelled, extended = (rows.loc[positives] for positives in ("labelled", "extended"))
        assert len(labelled) == len(extended)
    assert (extended["mean_set_size"] < labelled["mean_set_size"]).any()


def test_thresholds_are_those_of_the_library(job):
    operate.main(job)
    first_bytes = job.output[0].read_bytes()
    table = pd.read_parquet(job.output[0])
    samples = [
        sample_one_query_per_image(
            pd.read_parquet(getattr(job.input, f"{role}_scores")), derive_seed(0, "operate", role)
        )
        for role in ("val", "test")
    ]
    expected = evaluate_thresholds(*samples, TARGETS, 0.9)
    rows = table[table["form"] == "guaranteed_precision"]
    columns = ["threshold", "coverage", "achieved"]
    np.testing.assert_array_equal(rows[columns].to_numpy(float), expected[columns].to_numpy(float))
    operate.main(job)
    assert job.output[0].read_bytes() == first_bytes
