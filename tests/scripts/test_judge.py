"""The script end to end: a split, scores and raw judgments as input, one table of statistics as output."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.config.datasets import ShapesDataset
from overtop.config.evaluation import BootstrapSpec
from overtop.datasets.judgments import read_judgments
from overtop.datasets.source_records import FetchRequest, write_source_record
from overtop.evaluation.judgments import compare_with_judgments
from overtop.storage.split import Split, write_split
from overtop.storage.tables import write_table

judge = load_script("judge")

IMAGES = [f"{n}.jpg" for n in range(12)]
CAPTIONS = [f"{image}#2" for image in IMAGES]
SPEC = BootstrapSpec(resamples=100, level=0.9)
REQUEST = FetchRequest(dataset="flickr8k", split="test", spec=ShapesDataset(kind="shapes"), sources={}, seed=0)


@pytest.fixture
def job(tmp_path):
    """Inputs with an expert judgment of three captions per image."""
    rng = np.random.default_rng(0)
    raw = tmp_path / "raw" / "flickr8k" / "test"
    raw.mkdir(parents=True)
    lines = []
    for number, image in enumerate(IMAGES):
        for caption in CAPTIONS[number : number + 3]:
            ratings = rng.integers(1, 5, 3)
            lines.append("\t".join([image, caption, *map(str, ratings)]))
    (raw / "ratings.txt").write_text("\n".join(lines) + "\n")
    write_source_record(tmp_path / "source.json", REQUEST, raw)
    split = Split(IMAGES, IMAGES, CAPTIONS, CAPTIONS, np.arange(len(IMAGES)))
    write_split(tmp_path / "split.parquet", split)
    top1 = rng.integers(0, len(IMAGES), len(IMAGES))
    scores = pd.DataFrame(
        {
            "query_id": IMAGES,
            "image_id": IMAGES,
            "direction": "i2t",
            "estimator": "margin",
            "protocol": "corrected",
            "uncertainty": rng.random(len(IMAGES)),
            "top1_id": np.array(CAPTIONS)[top1],
            "hit": top1 == np.arange(len(IMAGES)),
        }
    )
    write_table(tmp_path / "scores.parquet", scores)
    return SimpleNamespace(
        input=SimpleNamespace(
            source=tmp_path / "source.json", split=tmp_path / "split.parquet", scores=tmp_path / "scores.parquet"
        ),
        config={},
        output=[tmp_path / "judgments.csv"],
        params=SimpleNamespace(
            judgments={"expert": "ratings.txt"}, bootstrap=SPEC.model_dump(mode="json"), data=tmp_path, seed=3
        ),
        wildcards=SimpleNamespace(dataset="flickr8k", posterior="p", split="test"),
    )


def test_statistics_are_those_of_the_library(job):
    judge.main(job)
    table = pd.read_csv(job.output[0])
    split = Split(IMAGES, IMAGES, CAPTIONS, CAPTIONS, np.arange(len(IMAGES)))
    judgments = read_judgments({"expert": job.params.data / "raw" / "flickr8k" / "test" / "ratings.txt"}, split)
    expected = compare_with_judgments(pd.read_parquet(job.input.scores), judgments, SPEC, seed=3)
    names = {"dataset": "flickr8k", "posterior": "p", "split": "test"}
    pd.testing.assert_frame_equal(table, expected.assign(**names))
