import dataclasses

import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.adapter_inputs import ENCODER, SPEC, WIDTH
from overtop.adapters.storage import read_adapters, write_adapters
from overtop.errors import OvertopError
from overtop.storage.tensors import write_tensors


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


def test_damaged_file_is_refused(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(OvertopError, match=r"a\.safetensors: content differs from its digest"):
        read_adapters(path)


def test_file_of_another_kind_is_refused(path):
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(OvertopError, match=r"a\.safetensors: has no digest"):
        read_adapters(path)
    write_tensors(path, "checkpoint/1", {"weight": torch.zeros(2)}, {})
    with pytest.raises(OvertopError, match="has schema 'checkpoint/1', expected 'adapters/1'"):
        read_adapters(path)


def test_embeddings_of_the_training_encoder_are_accepted(bundle):
    bundle.check_embeddings((WIDTH, WIDTH), [ENCODER])


@pytest.mark.parametrize(
    ("dims", "encoder", "message"),
    [
        ([WIDTH], {**ENCODER, "name": "other"}, "encoder 'tiny', these are of 'other'; declare"),
        (
            [WIDTH],
            {**ENCODER, "checkpoint_sha256": "01"},
            r"another state .*\(checkpoint_sha256 differ\); delete the older one",
        ),
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
