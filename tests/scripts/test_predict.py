"""The scripts predict and multilabel end to end: a split and shards as input, one table as output."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.config.evaluation import BootstrapSpec
from overtop.evaluation.bootstrap import bootstrap_seed
from overtop.evaluation.multilabel import evaluate_multilabel
from overtop.retrieval.predictions import predict_classes
from overtop.storage.json_files import write_json
from overtop.storage.shards import ArraySource, write_shard
from overtop.storage.split import split_from_labels, write_split
from overtop.storage.tables import read_table_metadata

predict, multilabel = load_script("predict"), load_script("multilabel")

N_IMAGES, CLASSES = 40, 5
SPEC = BootstrapSpec(resamples=100)


@pytest.fixture
def inputs(tmp_path):
    """The files of a split with one or two labels per image, its image that was skipped, and arrays of the others."""
    rng = np.random.default_rng(0)
    labels = [rng.choice(CLASSES, rng.integers(1, 3), replace=False).tolist() for _ in range(N_IMAGES)]
    names = [f"image{i}" for i in range(N_IMAGES)]
    split = split_from_labels(names, [""] * N_IMAGES, labels, ["a class"] * CLASSES, ["{c}"])
    write_split(tmp_path / "split.parquet", split)
    texts = rng.normal(size=(1, CLASSES, 8)).astype(np.float32)
    images = texts[:, [of[0] for of in labels]] + rng.normal(size=(1, N_IMAGES, 8)).astype(np.float32)
    for modality, embedding, ids in (("image", images, names), ("text", texts, split.caption_ids)):
        provenance = {"encoder": {"name": "e", "logit_scale": 20.0}, "sampling": "s", "shard": 0, "shards": 1}
        valid = np.arange(len(ids)) != (3 if modality == "image" else -1)
        write_shard(tmp_path / f"{modality}.h5", embedding, ids, valid, provenance | {"truncated_captions": 0})
    present = np.delete(np.arange(N_IMAGES), 3)
    sources = ArraySource([images[0, present]], [names[i] for i in present]), ArraySource(texts)
    files = SimpleNamespace(
        split=tmp_path / "split.parquet", image=[tmp_path / "image.h5"], text=[tmp_path / "text.h5"], fit=[]
    )
    return files, split, sources, labels


@pytest.mark.parametrize("has_fit", [True, False])
def test_predictions_are_those_of_the_library_at_every_known_temperature(tmp_path, inputs, has_fit):
    files, split, sources, _ = inputs
    expected = {"model": 0.05, "fitted": 0.3, "dirichlet": 0.07}
    if has_fit:
        files.fit = tmp_path / "fit.json"
        write_json(files.fit, {"i2t": {"temperature": 0.3}})
    else:
        del expected["fitted"]
    output = tmp_path / "predictions.parquet"
    params = SimpleNamespace(dirichlet=0.07, passes=None)
    predict.main(SimpleNamespace(input=files, output=[output], params=params))
    pd.testing.assert_frame_equal(pd.read_parquet(output), predict_classes(split, *sources, expected))
    provenance = json.loads(read_table_metadata(output)["provenance"])
    assert provenance["encoders"] == [{"name": "e", "logit_scale": 20.0}]
    assert provenance["skipped"] == ["image3"]


def test_multilabel_measures_are_those_of_the_library(tmp_path, inputs):
    files, _, sources, labels = inputs
    job = SimpleNamespace(
        input=files,
        output=[tmp_path / "multilabel.csv"],
        params=SimpleNamespace(bootstrap=SPEC.model_dump(mode="json"), passes=None, seed=4),
        wildcards=SimpleNamespace(dataset="coco", split="test", posterior="p"),
    )
    multilabel.main(job)
    table = pd.read_csv(job.output[0])
    images, texts = (source.read(0, 0, source.n_items).astype(np.float64) for source in sources)
    similarity = (images / np.linalg.norm(images, axis=1, keepdims=True)) @ (
        texts / np.linalg.norm(texts, axis=1, keepdims=True)
    ).T
    has_label = np.array([[c in of for c in range(CLASSES)] for i, of in enumerate(labels) if i != 3])
    expected = evaluate_multilabel(similarity, has_label, 0.05, SPEC, bootstrap_seed(4, "coco", "test"))
    expected = expected.assign(dataset="coco", split="test", posterior="p")
    pd.testing.assert_frame_equal(table, expected, rtol=1e-5)
