"""The script end to end: ranking, scores and shards of a random labelled split in, confidence models out."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.answer_inputs import ENCODER, TEMPERATURE, RandomSplit, write_results
from helpers.scripts import load_script
from overtop.confidence.model import read_models
from overtop.confidence.thresholds import guaranteed_threshold, sample_one_query_per_image
from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import score_direction
from overtop.retrieval.prepared import prepare_gallery
from overtop.retrieval.provenance import encoder_label
from overtop.retrieval.ranking import read_ranking
from overtop.retrieval.temperature import Temperatures
from overtop.seeds import derive_seed
from overtop.storage.shards import ShardSource, open_items
from overtop.storage.split import read_split
from overtop.terms import DIRECTIONS

calibrate = load_script("calibrate")

N_IMAGES = 300
PRECISIONS = [0.6, 0.8]
BANK = {"dataset": "d", "split": "train", "size": 50, "seed": 0, "label": "d/train/50"}


def make_job(folder, candidates, with_bank=False):
    """Write a split, and a bank if requested, and return a job that reads them."""
    split = RandomSplit(folder / "val", N_IMAGES, seed=0)
    bank = RandomSplit(folder / "train", 60, seed=1) if with_bank else None
    files = write_results(split, bank)
    shards = {"image": split.shards("image"), "text": split.shards("text")}
    if bank is not None:
        shards |= {"bank_image": bank.shards("image"), "bank_text": bank.shards("text")}
    params = {
        "candidates": candidates,
        "precisions": PRECISIONS,
        "confidence": 0.9,
        "mapping": "auto",
        "bank": BANK if with_bank else None,
        "temperature": TEMPERATURE,
        "passes": None,
        "seed": 0,
    }
    return SimpleNamespace(
        input=SimpleNamespace(**files, **shards, temperatures=[]),
        output=[folder / "models.json"],
        params=SimpleNamespace(**params),
        wildcards=SimpleNamespace(dataset="d", split="val", posterior="p"),
    )


def test_model_has_the_thresholds_of_the_operating_points(tmp_path):
    job = make_job(tmp_path, ["max_softmax"])
    calibrate.main(job)
    models = read_models(job.output[0])
    assert set(models) == set(DIRECTIONS)
    split, rankings = read_split(job.input.split), read_ranking(job.input.ranking)[0]
    scores = []
    for direction in models:
        inputs = EstimatorInputs(rankings[direction], temperatures=Temperatures(**TEMPERATURE))
        scores.append(score_direction(split, direction, inputs, ["max_softmax", "margin"], ["corrected"]))
    sample = sample_one_query_per_image(pd.concat(scores), derive_seed(0, "operate", "val"))
    for direction, model in models.items():
        rows = sample[(sample["direction"] == direction) & (sample["estimator"] == "max_softmax")]
        assert (model.estimator, model.n_queries, model.n_hits) == ("max_softmax", N_IMAGES, rows["hit"].sum())
        for precision in PRECISIONS:
            expected = guaranteed_threshold(rows["uncertainty"].to_numpy(), rows["hit"].to_numpy(), precision, 0.9)
            assert model.threshold(precision).threshold == expected


def test_similarities_are_those_of_the_sampled_queries(tmp_path):
    """Of images as queries all are sampled, so that the quantiles are those of all top-1 cosines."""
    job = make_job(tmp_path, ["max_softmax"])
    calibrate.main(job)
    embeddings = RandomSplit(tmp_path / "val", N_IMAGES, seed=0).embeddings
    images, texts = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in map(np.float64, embeddings.values())
    )
    quantiles = read_models(job.output[0])["i2t"].similarity_quantiles
    top1 = (images @ texts.T).max(axis=1)
    np.testing.assert_allclose([quantiles[0], quantiles[-1]], [top1.min(), top1.max()], atol=1e-6)


def test_gallery_is_recognised_by_what_a_prepared_gallery_has(tmp_path):
    job = make_job(tmp_path, ["max_softmax"])
    calibrate.main(job)
    facts = {direction: model.facts for direction, model in read_models(job.output[0]).items()}
    for direction, paths in (("t2i", job.input.image), ("i2t", job.input.text)):
        with open_items(paths) as source:
            prepared = prepare_gallery(source)
        assert facts[direction].gallery_fingerprint == prepared.fingerprint
        assert facts[direction].gallery_size == prepared.n_items
    assert facts["t2i"].gallery_fingerprint != facts["i2t"].gallery_fingerprint
    assert facts["t2i"].provenance["dataset"] == "d"
    assert facts["t2i"].temperature == TEMPERATURE["softmax"]


def test_bank_is_described_as_in_a_prepared_gallery(tmp_path):
    job = make_job(tmp_path, ["bank_nnn"], with_bank=True)
    calibrate.main(job)
    models = read_models(job.output[0])
    assert {model.estimator for model in models.values()} == {"bank_nnn"}
    for direction, (images, queries) in {"t2i": ("image", "bank_text"), "i2t": ("text", "bank_image")}.items():
        with open_items(getattr(job.input, images)) as gallery, open_items(getattr(job.input, queries)) as bank:
            drawn = calibrate.draw_queries(bank, BANK["size"], BANK["seed"])
            prepared = prepare_gallery(gallery, bank=drawn, bank_facts={"label": "d/train/50"})
        assert models[direction].facts.bank == prepared.bank
        assert prepared.bank is not None
        assert prepared.bank["size"] == 50


def test_best_of_several_candidates_is_chosen_for_each_direction(tmp_path):
    job = make_job(tmp_path, ["margin", "max_softmax"])
    calibrate.main(job)
    for model in read_models(job.output[0]).values():
        assert set(model.nll_by_estimator) == {"margin", "max_softmax"}
        assert model.estimator == min(model.nll_by_estimator, key=model.nll_by_estimator.__getitem__)
        assert model.n_threshold_queries == N_IMAGES * 2 // 3


def test_same_inputs_give_the_same_bytes(tmp_path):
    job = make_job(tmp_path, ["max_softmax", "margin"])
    calibrate.main(job)
    first = job.output[0].read_bytes()
    calibrate.main(job)
    assert job.output[0].read_bytes() == first


def test_estimator_that_needs_more_than_the_ranking_is_an_error(tmp_path):
    job = make_job(tmp_path, ["max_softmax", "bank_nnn"])
    with pytest.raises(OvertopError, match=r"operating\.estimator: 'bank_nnn' needs a bank: declare one of another"):
        calibrate.main(job)


@pytest.fixture
def label(tmp_path):
    """A function from the facts of an encoder, a name of a data set and a modality to the label of its shards."""

    def make(name="val", modality="image", **changes):
        split = RandomSplit(tmp_path / name, 3, seed=len(name), encoder=ENCODER | changes)
        with ShardSource([split.shards(modality)]) as source:
            return encoder_label(source)

    return make


def test_label_of_an_encoder_does_not_depend_on_the_split_or_modality(label):
    assert label() == label("other") == label(modality="text") == label(versions={"torch": "2"})
    assert label().startswith("e (")


@pytest.mark.parametrize("key", ["checkpoint_sha256", "preprocessing", "activation", "architecture"])
def test_label_of_an_encoder_depends_on_weights_and_preprocessing(label, key):
    assert label() != label(**{key: "other"})


def test_unknown_encoder_has_no_label(tmp_path):
    split = RandomSplit(tmp_path / "val", 3, seed=0, encoder={"name": "imported"})
    with ShardSource([split.shards("image")]) as source:
        assert encoder_label(source) is None
