"""The script end to end: rankings and scores of a labelled split and of two data sets as input, four files written."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.confidence.transfer import BIN_COLUMNS, COLUMNS, THRESHOLD_COLUMNS
from overtop.config.evaluation import BootstrapSpec
from overtop.config.operating import OperatingSpec
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import score_direction
from overtop.retrieval.exact import rank
from overtop.retrieval.ranking import write_ranking
from overtop.retrieval.temperature import Temperatures
from overtop.storage.shards import ArraySource
from overtop.storage.split import Split
from overtop.storage.tables import write_table
from overtop.terms import DIRECTIONS

transfer = load_script("transfer")

N_IMAGES, CAPTIONS_PER_IMAGE = 60, 2
TEMPERATURES = Temperatures(0.05, 0.05)


def write_results(folder, name, seed, noise):
    """Write the ranking and the scores of random pairs, and return their paths."""
    rng = np.random.default_rng(seed)
    image_of_caption = np.repeat(np.arange(N_IMAGES), CAPTIONS_PER_IMAGE)
    images = rng.normal(size=(N_IMAGES, 8)).astype(np.float32)
    captions = (images[image_of_caption] + noise * rng.normal(size=(len(image_of_caption), 8))).astype(np.float32)
    image_ids = [f"{name}{i}" for i in range(N_IMAGES)]
    caption_ids = [f"{name}{i}-{j}" for i in range(N_IMAGES) for j in range(CAPTIONS_PER_IMAGE)]
    split = Split(image_ids, image_ids, caption_ids, ["words"] * len(image_of_caption), image_of_caption)
    rankings = rank(ArraySource([images], image_ids), ArraySource([captions], caption_ids), top=20, temperatures=[0.05])
    names = ["top1_similarity", "max_softmax"]
    scores = [
        score_direction(split, d, EstimatorInputs(rankings[d], temperatures=TEMPERATURES), names) for d in DIRECTIONS
    ]
    write_ranking(folder / f"{name}.h5", rankings, {})
    write_table(folder / f"{name}.parquet", pd.concat(scores, ignore_index=True))
    return folder / f"{name}.parquet", folder / f"{name}.h5"


@pytest.fixture
def job(tmp_path):
    labelled = write_results(tmp_path, "val", 0, 0.7)
    same, noisy = write_results(tmp_path, "same", 1, 0.7), write_results(tmp_path, "noisy", 2, 1.5)
    scores, rankings = zip(same, noisy, strict=True)
    names = {"csv": "x.csv", "md": "x.md", "thresholds": "x-thresholds.csv", "bins": "x-bins.csv"}
    return SimpleNamespace(
        input=SimpleNamespace(labelled=labelled, scores=scores, rankings=rankings),
        output=SimpleNamespace(**{key: tmp_path / name for key, name in names.items()}),
        params=SimpleNamespace(
            spec={"model": {"dataset": "same", "posterior": "p"}, "datasets": ["same", "noisy"]},
            banks=["", "", "photos/train"],
            operating=OperatingSpec(precisions=[0.6]).model_dump(mode="json"),
            bootstrap=BootstrapSpec(resamples=100).model_dump(mode="json"),
            seed=0,
        ),
    )


def test_tables_have_every_data_set_and_direction(job, caplog):
    transfer.main(job)
    table = pd.read_csv(job.output.csv, keep_default_na=False)
    assert list(table) == COLUMNS
    assert len(table) == 2 * len(DIRECTIONS) * 3
    assert table.groupby("dataset")["bank"].unique().map(list).to_dict() == {"same": [""], "noisy": ["photos/train"]}
    assert set(table["gallery"]) == {N_IMAGES, N_IMAGES * CAPTIONS_PER_IMAGE}
    assert set(table["n_queries"]) == {N_IMAGES}
    means = table[table["fit"] == "labelled"].groupby("dataset")["overconfidence"].mean().astype(float)
    assert means["noisy"] > means["same"] + 0.1
    assert list(pd.read_csv(job.output.thresholds)) == THRESHOLD_COLUMNS
    assert list(pd.read_csv(job.output.bins)) == BIN_COLUMNS
    assert "bank_nnn: no scores on same/val" in caplog.text
    assert "bank\\_nnn: no scores on same/val" in job.output.md.read_text()


def test_files_have_the_same_bytes_in_every_run(job):
    transfer.main(job)
    before = [path.read_bytes() for path in vars(job.output).values()]
    transfer.main(job)
    assert [path.read_bytes() for path in vars(job.output).values()] == before
