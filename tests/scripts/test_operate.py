"""The script end to end: rankings and scores of two drawn splits in, one table out."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.estimators.evidence import Evidence
from overtop.estimators.scoring import score_direction
from overtop.evaluation.operating import COLUMNS, independent, operating_points
from overtop.retrieval.exact import rank
from overtop.retrieval.ranking import write_ranking
from overtop.seeds import derive_seed
from overtop.storage.files import write_table
from overtop.storage.shards import ArraySource
from overtop.storage.split import Split, write_split
from overtop.terms import DIRECTIONS

operate = load_script("operate")

IMAGES, CAPTIONS = 60, 3


def posterior(folder, side, seed):
    """A split, its ranking and its scores, as files."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(IMAGES), CAPTIONS)
    images = rng.normal(size=(IMAGES, 8)).astype(np.float32)
    captions = (images[owner] + 0.7 * rng.normal(size=(len(owner), 8))).astype(np.float32)
    names = [f"{side}{i}" for i in range(IMAGES)], [f"{side}{i}-{j}" for i in range(IMAGES) for j in range(CAPTIONS)]
    split = Split(names[0], names[0], names[1], ["words"] * len(owner), owner)
    rankings = rank(ArraySource([images], names[0]), ArraySource([captions], names[1]), top=20, device="cpu")
    scores = [score_direction(split, way, Evidence(rankings[way]), ["top1_similarity"]) for way in DIRECTIONS]
    write_split(folder / f"{side}.parquet", split)
    write_ranking(folder / f"{side}.h5", rankings, {})
    write_table(folder / f"{side}-scores.parquet", pd.concat(scores, ignore_index=True))


@pytest.fixture
def job(tmp_path):
    for seed, side in enumerate(("val", "test")):
        posterior(tmp_path, side, seed)
    names = {"split": "{}.parquet", "ranking": "{}.h5", "scores": "{}-scores.parquet"}
    files = {f"{side}_{what}": tmp_path / name.format(side) for side in ("val", "test") for what, name in names.items()}
    return SimpleNamespace(
        input=SimpleNamespace(**files),
        output=[tmp_path / "operating.parquet"],
        params=SimpleNamespace(precisions=[0.6, 0.9], confidence=0.9, seed=0),
        wildcards=SimpleNamespace(dataset="d", posterior="p"),
    )


def test_one_row_for_each_point(job):
    operate.main(job)
    found = pd.read_parquet(job.output[0])
    assert list(found) == [*COLUMNS, "dataset", "posterior"]
    for direction in DIRECTIONS:
        rows = found[found["direction"] == direction]
        protocols = rows["protocol"].nunique()
        assert rows["form"].value_counts().to_dict() == {"guaranteed_precision": 2 * protocols, "conformal_set": 2}
    assert (found["n_test"] == IMAGES).all()
    assert set(found["positives"]) == {"labelled"}
    assert found["achieved_low"].notna().all()


def test_it_says_what_the_library_says(job):
    operate.main(job)
    first = job.output[0].read_bytes()
    found = pd.read_parquet(job.output[0])
    chosen = [
        independent(pd.read_parquet(getattr(job.input, f"{side}_scores")), derive_seed(0, "operate", side))
        for side in ("val", "test")
    ]
    expected = operating_points(*chosen, [0.6, 0.9], 0.9)
    kept = found[found["form"] == "guaranteed_precision"][["threshold", "coverage", "achieved"]]
    np.testing.assert_array_equal(kept.to_numpy(float), expected[["threshold", "coverage", "achieved"]].to_numpy(float))
    operate.main(job)
    assert job.output[0].read_bytes() == first
