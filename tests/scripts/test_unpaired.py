"""The scripts from `fetch` to `operate` on imported embeddings with unpaired items: all figures are by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.oracles import normalise
from helpers.scored_split import run_script, score_split
from helpers.scripts import load_script
from overtop.confidence.thresholds import guaranteed_threshold
from overtop.config.datasets import EmbeddingsDataset
from overtop.datasets.source_records import FetchRequest, write_source_record
from overtop.terms import SOFTMAX_TEMPERATURE

N_PAIRS, N_DISTRACTORS, N_UNKNOWN = 200, 150, 80
PRECISION, CONFIDENCE = 0.8, 0.9
SPLITS = ("val", "test")


def make_arrays(seed):
    """Captions near their images, images without a caption near those, and captions of no image, all shuffled."""
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(N_PAIRS, 16))
    distractors = image[:N_DISTRACTORS] + 0.6 * rng.normal(size=(N_DISTRACTORS, 16))
    text = np.concatenate([image + 0.9 * rng.normal(size=image.shape), rng.normal(size=(N_UNKNOWN, 16))])
    owners = np.append(np.arange(N_PAIRS), np.full(N_UNKNOWN, -1))
    order, captions = rng.permutation(N_PAIRS + N_DISTRACTORS), rng.permutation(len(text))
    rows = np.append(np.argsort(order), -1)  # where each image is after the shuffle
    return {
        "image": np.concatenate([image, distractors])[order].astype(np.float32),
        "text": text[captions].astype(np.float32),
        "image_of_caption": rows[owners[captions]],
    }


ARRAYS = {split: make_arrays(seed) for seed, split in enumerate(SPLITS)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the results on both splits."""
    folder = tmp_path_factory.mktemp("unpaired")
    spec = EmbeddingsDataset(kind="embeddings", splits={name: str(folder / f"{name}.npz") for name in SPLITS})
    for name in SPLITS:
        np.savez(folder / f"{name}.npz", **ARRAYS[name])
        data, results, source = folder / "data", folder / name, folder / "data" / "sources" / "d" / f"{name}.json"
        results.mkdir()
        request = FetchRequest(dataset="d", split=name, spec=spec, sources={}, seed=0)
        request.fetch(request.raw_folder(data), data, None)
        write_source_record(source, request, request.raw_folder(data))
        shards = {modality: results / f"{modality}.h5" for modality in ("image", "text")}
        params = SimpleNamespace(spec=spec.model_dump(mode="json"), data=data)
        run_script("split", results / "split.parquet", params, name, source=source)
        run_import(shards, source, name, data)
        score_split(results, results / "split.parquet", shards, ["max_softmax", "margin"])
    files = {
        f"{name}_{kind}": folder / name / file
        for name in SPLITS
        for kind, file in (("split", "split.parquet"), ("ranking", "ranking.h5"), ("scores", "scores.parquet"))
    }
    params = SimpleNamespace(precisions=[PRECISION], confidence=CONFIDENCE, seed=0)
    run_script("operate", folder / "operating.csv", params, **files)
    return folder


def run_import(shards, source, split, data):
    """Run the script `import_embeddings`, whose outputs have names."""
    job = SimpleNamespace(
        input=SimpleNamespace(source=source),
        output=shards,
        params=SimpleNamespace(on_error="fail", data=data),
        wildcards=SimpleNamespace(dataset="d", split=split),
        config={},
    )
    load_script("import_embeddings").main(job)


def by_hand(split, direction, with_unpaired=True):
    """One minus the largest softmax probability, and the hits, of the queries with a known match, in float64."""
    arrays = ARRAYS[split]
    owners = arrays["image_of_caption"]
    similarity = normalise(arrays["text"]) @ normalise(arrays["image"]).T
    is_pair = owners[:, None] == np.arange(similarity.shape[1])
    if not with_unpaired:
        similarity, is_pair = (matrix[owners >= 0][:, is_pair.any(axis=0)] for matrix in (similarity, is_pair))
    if direction == "i2t":
        similarity, is_pair = similarity.T, is_pair.T
    uncertainty, hit = [], []
    for scores, pairs in zip(similarity, is_pair, strict=True):
        if pairs.any():
            weights = np.exp((scores - scores.max()) / SOFTMAX_TEMPERATURE)
            uncertainty.append(1 - 1 / weights.sum())
            hit.append(bool(pairs[scores.argmax()]))
    return np.array(uncertainty), np.array(hit)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_recall_and_uncertainties_are_of_the_whole_gallery(folder, direction):
    scores = pd.read_parquet(folder / "test" / "scores.parquet")
    rows = scores[(scores["direction"] == direction) & (scores["estimator"] == "max_softmax")]
    uncertainty, hit = by_hand("test", direction)
    assert len(rows) == N_PAIRS
    assert rows["hit"].mean() == hit.mean()
    assert hit.mean() < by_hand("test", direction, with_unpaired=False)[1].mean()
    np.testing.assert_allclose(np.sort(rows["uncertainty"]), np.sort(uncertainty), atol=2e-5)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_threshold_is_of_the_whole_gallery(folder, direction):
    table = pd.read_csv(folder / "operating.csv")
    row = table[(table["direction"] == direction) & (table["estimator"] == "max_softmax")].iloc[0]
    uncertainty, hit = by_hand("val", direction)
    expected = guaranteed_threshold(uncertainty, hit, PRECISION, CONFIDENCE)
    assert 0 < expected < 1
    assert row["threshold"] == pytest.approx(expected, abs=2e-5)
    smaller = guaranteed_threshold(*by_hand("val", direction, with_unpaired=False), PRECISION, CONFIDENCE)
    assert abs(smaller - expected) > 1e-3
    uncertainty, hit = by_hand("test", direction)
    answered = uncertainty < expected
    assert (row["n_validation"], row["n_test"]) == (N_PAIRS, N_PAIRS)
    assert row["coverage"] == pytest.approx(answered.mean(), abs=1.01 / N_PAIRS)
    assert row["achieved"] == pytest.approx(hit[answered].mean(), abs=0.02)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_conformal_sets_are_of_queries_with_a_known_match(folder, direction):
    table = pd.read_csv(folder / "operating.csv")
    row = table[(table["direction"] == direction) & (table["form"] == "conformal_set")].iloc[0]
    assert (row["n_validation"], row["n_test"]) == (N_PAIRS, N_PAIRS)
