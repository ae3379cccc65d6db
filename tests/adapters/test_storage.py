import dataclasses
import json
import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from helpers.adapter_inputs import ENCODER, SPEC, WIDTH
from overtop.adapters.storage import SCHEMA, read_adapters, write_adapters
from overtop.errors import OvertopError


@pytest.fixture
def path(bundle, tmp_path):
    write_adapters(tmp_path / "a.safetensors", bundle)
    return tmp_path / "a.safetensors"


def test_written_adapters_read_back_with_equal_history_and_predictions(bundle, path):
    read = read_adapters(path)
    assert (read.name, read.spec, read.width, read.encoder, read.seed) == ("a", SPEC, WIDTH, ENCODER, 0)
    items = torch.randn(3, WIDTH)
    for protocol, trained in bundle.by_protocol.items():
        for field in ("train_loss", "val_loss", "best_epoch"):
            assert getattr(read.by_protocol[protocol], field) == getattr(trained, field)
        for modality, adapter in trained.by_modality.items():
            predictions = adapter(items), read.by_protocol[protocol].by_modality[modality](items)
            for written_part, read_part in zip(*predictions, strict=True):
                assert torch.equal(written_part, read_part)


def test_adapters_written_again_have_equal_bytes(path, tmp_path):
    write_adapters(tmp_path / "again.safetensors", read_adapters(path))
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_file_contains_both_protocols_and_modalities(path):
    keys = load_file(path)
    for protocol in ("published", "corrected"):
        for modality in ("image", "text"):
            assert f"{protocol}.{modality}.mean.2.weight" in keys


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(OvertopError, match="no such file; run the rule"):
        read_adapters(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("share", [0, 0.0001, 0.1, 0.9])
def test_truncated_file_is_refused(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(OvertopError, match=r"a\.safetensors: damaged.*rebuild"):
        read_adapters(path)


def test_file_of_another_kind_is_refused(path):
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(OvertopError, match="not an adapter file of this version"):
        read_adapters(path)
    path.write_bytes(pickle.dumps({"weight": 1}))
    with pytest.raises(OvertopError, match="not an adapter file of this version"):
        read_adapters(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda metadata, tensors: metadata.update(width=WIDTH + 1),
        lambda metadata, tensors: metadata.pop("seed"),
        lambda metadata, tensors: metadata["spec"].update(dropout=2),
        lambda metadata, tensors: tensors.pop("corrected.text.beta.0.bias"),
    ],
)
def test_metadata_that_do_not_match_the_weights_are_refused(path, change):
    with safe_open(path, framework="pt") as file:
        metadata = json.loads(file.metadata()[SCHEMA])
    tensors = load_file(path)
    change(metadata, tensors)
    save_file(tensors, path, metadata={SCHEMA: json.dumps(metadata)})
    with pytest.raises(OvertopError, match="not an adapter file of this version"):
        read_adapters(path)


def test_embeddings_of_the_training_encoder_are_accepted(bundle):
    bundle.check_embeddings((WIDTH, WIDTH), [ENCODER])


@pytest.mark.parametrize(
    ("dims", "encoder", "message"),
    [
        ([WIDTH], {**ENCODER, "name": "other"}, "encoder 'tiny', these are of 'other'; declare"),
        ([WIDTH], {**ENCODER, "checkpoint_sha256": "01"}, r"another state .*\(checkpoint_sha256 differ\); delete"),
        ([WIDTH], {"name": "tiny"}, r"\(checkpoint_sha256, versions differ\)"),
        ([WIDTH, 8], ENCODER, "width 6, these have 6, 8"),
        ([8], ENCODER, "width 6, these have 8"),
    ],
)
def test_embeddings_of_another_encoder_are_refused(bundle, dims, encoder, message):
    with pytest.raises(OvertopError, match=message):
        bundle.check_embeddings(dims, [ENCODER, encoder])


def test_ensemble_with_one_other_encoder_is_refused(bundle):
    other = dataclasses.replace(bundle, encoder={"name": "other"})
    with pytest.raises(OvertopError, match="declare an adapter for that encoder"):
        other.check_embeddings([WIDTH, WIDTH], [{"name": "other"}, ENCODER])
