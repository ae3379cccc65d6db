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
from overtop.terms import PROTOCOLS

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
        wildcards=SimpleNamespace(adapter="a", protocol=output.stem),
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


def train(folder):
    """Train under both protocols; returns the folder of the files."""
    inputs = {
        **write_split_and_shards(folder, "train", 12, skipped=("i3", "c0")),
        **write_split_and_shards(folder, "val", 6),
    }
    for protocol in PROTOCOLS:
        output = folder / "adapters" / f"{protocol}.safetensors"
        adapt.main(make_job(inputs, output, adapter=SPEC.model_dump(mode="json")))
    return folder / "adapters"


def adapter_files(folder, protocols=PROTOCOLS):
    return [folder / f"{protocol}.safetensors" for protocol in protocols]


@pytest.fixture
def trained(tmp_path):
    return train(tmp_path)


def test_adapters_and_spread_from_shards_give_the_uncertainty_of_probvlm(trained, tmp_path):
    for path in adapter_files(trained):
        bundle = read_adapters(path)
        assert (bundle.encoder, bundle.width) == (ENCODER, WIDTH)
        assert list(bundle.by_protocol) == [path.stem]
    files = write_split_and_shards(tmp_path, "test", 5, skipped=("i1",))
    inputs = {"adapters": adapter_files(trained), "image": files["test_image"], "text": files["test_text"]}
    spread.main(make_job(inputs, tmp_path / "spread.h5"))
    spreads, attributes = read_spread(tmp_path / "spread.h5")
    assert attributes["adapter"] == "a"
    with open_posterior(files["test_image"], files["test_text"]) as sources:
        rankings = rank(*sources, 10)
    for direction, ranking in rankings.items():
        estimator_inputs = EstimatorInputs(ranking, variance=spreads[direction].variance_for(ranking))
        for protocol in PROTOCOLS:
            uncertainty = compute_uncertainty("probvlm", estimator_inputs, protocol)
            assert uncertainty.shape == (len(ranking.query_ids),)
            np.testing.assert_array_equal(uncertainty, spreads[direction].variance[protocol])


def test_same_inputs_give_the_same_bytes_and_no_state_is_left(trained, tmp_path):
    again = train(tmp_path / "again")
    for path in adapter_files(trained):
        assert (again / path.name).read_bytes() == path.read_bytes()
    assert {path.name for path in trained.iterdir()} == {path.name for path in adapter_files(trained)}


def test_killed_job_continues_and_ends_with_the_same_bytes(trained, tmp_path, monkeypatch):
    folder = tmp_path / "again"
    monkeypatch.setattr(adapt, "write_adapters", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(folder)
    state = folder / "adapters" / f".{PROTOCOLS[0]}.state"
    assert state.is_file()
    monkeypatch.undo()
    train(folder)
    assert not state.exists()
    for path in adapter_files(trained):
        assert (folder / "adapters" / path.name).read_bytes() == path.read_bytes()


def interrupt(*_):
    raise KeyboardInterrupt


def test_spread_of_one_protocol_needs_no_adapters_of_the_other(trained, tmp_path):
    files = write_split_and_shards(tmp_path, "test", 5)
    spreads = {}
    for protocols in (PROTOCOLS, ["corrected"]):
        inputs = {
            "adapters": adapter_files(trained, protocols),
            "image": files["test_image"],
            "text": files["test_text"],
        }
        spread.main(make_job(inputs, tmp_path / "spread.h5"))
        spreads[len(protocols)] = read_spread(tmp_path / "spread.h5")[0]
    for direction, one in spreads[1].items():
        assert list(one.variance) == ["corrected"]
        np.testing.assert_array_equal(one.variance["corrected"], spreads[2][direction].variance["corrected"])


def test_embeddings_of_another_encoder_are_refused(trained, tmp_path):
    other = {**ENCODER, "name": "other"}
    files = write_split_and_shards(tmp_path, "test", 5, encoder=other)
    inputs = {"adapters": adapter_files(trained), "image": files["test_image"], "text": files["test_text"]}
    with pytest.raises(OvertopError, match="these are of 'other'"):
        spread.main(make_job(inputs, tmp_path / "spread.h5"))
    assert not (tmp_path / "spread.h5").exists()
    inputs = {
        **write_split_and_shards(tmp_path, "train", 12),
        **write_split_and_shards(tmp_path, "val", 6, encoder=other),
    }
    with pytest.raises(OvertopError, match="these are of 'other'"):
        adapt.main(make_job(inputs, tmp_path / "corrected.safetensors", adapter=SPEC.model_dump(mode="json")))
