"""`adapt` and `spread` as the pipeline runs them, and the estimator that uses their results."""

from types import SimpleNamespace

import numpy as np
import pytest

from helpers.adapter_inputs import ENCODER, SPEC, WIDTH
from helpers.scripts import load_script
from overtop.adapters.spread import read_spread
from overtop.adapters.storage import read_adapters
from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import compute_uncertainty
from overtop.retrieval.exact import rank
from overtop.storage.shards import open_posterior, write_shard
from overtop.storage.split import Split, write_split

adapt = load_script("adapt")
spread = load_script("spread")


class Files(SimpleNamespace):
    def __getitem__(self, index):
        return list(vars(self).values())[index]


def make_job(inputs, output, **params):
    return SimpleNamespace(
        input=Files(**inputs),
        output=[output],
        params=SimpleNamespace(**{"seed": 0, "passes": None} | params),
        wildcards=SimpleNamespace(adapter="a"),
    )


def write_split_and_shards(folder, name, images, encoder=ENCODER, width=WIDTH, skipped=()):
    """Write a split with two captions per image and its shards; the paths by the names of the inputs of `adapt`."""
    rng = np.random.default_rng(len(name))
    image_of_caption = np.repeat(np.arange(images), 2)
    image_ids, caption_ids = [f"i{i}" for i in range(images)], [f"c{i}" for i in range(2 * images)]
    split = Split(image_ids, [""] * images, caption_ids, ["words"] * len(image_of_caption), image_of_caption)
    write_split(folder / f"{name}.parquet", split)
    image = rng.normal(size=(1, images, width))
    text = image[:, image_of_caption] + 0.3 * rng.normal(size=(1, 2 * images, width))
    paths = {}
    for modality, embedding, ids in (("image", image, image_ids), ("text", text, caption_ids)):
        paths[modality] = folder / name / f"{modality}.h5"
        valid = np.array([item not in skipped for item in ids])
        provenance = {"encoder": encoder, "sampling": "deterministic", "shard": 0, "shards": 1}
        write_shard(paths[modality], embedding.astype(np.float32), ids, valid, provenance)
    return {name: folder / f"{name}.parquet", **{f"{name}_{m}": [path] for m, path in paths.items()}}


@pytest.fixture
def trained(tmp_path):
    inputs = {
        **write_split_and_shards(tmp_path, "train", 12, skipped=("i3", "c0")),
        **write_split_and_shards(tmp_path, "val", 6),
    }
    adapt.main(make_job(inputs, tmp_path / "a.safetensors", adapter=SPEC.model_dump(mode="json")))
    return tmp_path / "a.safetensors"


def test_adapters_and_spread_from_shards_give_the_uncertainty_of_probvlm(trained, tmp_path):
    bundle = read_adapters(trained)
    assert (bundle.encoder, bundle.width) == (ENCODER, WIDTH)
    files = write_split_and_shards(tmp_path, "test", 5, skipped=("i1",))
    inputs = {"adapter": trained, "image": files["test_image"], "text": files["test_text"]}
    spread.main(make_job(inputs, tmp_path / "spread.h5"))
    spreads, attributes = read_spread(tmp_path / "spread.h5")
    assert attributes["adapter"] == "a"
    with open_posterior(files["test_image"], files["test_text"]) as sources:
        rankings = rank(*sources, 10)
    for direction, ranking in rankings.items():
        estimator_inputs = EstimatorInputs(ranking, variance=spreads[direction].variance_for(ranking))
        for protocol in ("published", "corrected"):
            uncertainty = compute_uncertainty("probvlm", estimator_inputs, protocol)
            assert uncertainty.shape == (len(ranking.query_ids),)
            np.testing.assert_array_equal(uncertainty, spreads[direction].variance[protocol])


def test_same_inputs_give_the_same_bytes(trained, tmp_path):
    inputs = {
        **write_split_and_shards(tmp_path, "train", 12, skipped=("i3", "c0")),
        **write_split_and_shards(tmp_path, "val", 6),
    }
    adapt.main(make_job(inputs, tmp_path / "again.safetensors", adapter=SPEC.model_dump(mode="json")))
    assert (tmp_path / "again.safetensors").read_bytes() == trained.read_bytes()


def test_embeddings_of_another_encoder_are_refused(trained, tmp_path):
    other = {**ENCODER, "name": "other"}
    files = write_split_and_shards(tmp_path, "test", 5, encoder=other)
    inputs = {"adapter": trained, "image": files["test_image"], "text": files["test_text"]}
    with pytest.raises(OvertopError, match="these are of 'other'"):
        spread.main(make_job(inputs, tmp_path / "spread.h5"))
    assert not (tmp_path / "spread.h5").exists()
    inputs = {
        **write_split_and_shards(tmp_path, "train", 12),
        **write_split_and_shards(tmp_path, "val", 6, encoder=other),
    }
    with pytest.raises(OvertopError, match="these are of 'other'"):
        adapt.main(make_job(inputs, tmp_path / "b.safetensors", adapter=SPEC.model_dump(mode="json")))
