import dataclasses
import json
import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from adapters.conftest import ENCODER, SPEC, WIDTH
from overtop.adapters.storage import SCHEMA, read_adapters, write_adapters
from overtop.errors import OvertopError


@pytest.fixture
def path(adapters, tmp_path):
    write_adapters(tmp_path / "a.safetensors", adapters)
    return tmp_path / "a.safetensors"


def test_round_trip(adapters, path, tmp_path):
    found = read_adapters(path)
    assert (found.name, found.spec, found.width, found.encoder, found.seed) == ("a", SPEC, WIDTH, ENCODER, 0)
    items = torch.randn(3, WIDTH)
    for protocol, fitted in adapters.fitted.items():
        other = found.fitted[protocol]
        assert (fitted.train_loss, fitted.val_loss, fitted.best_epoch) == (
            other.train_loss,
            other.val_loss,
            other.best_epoch,
        )
        for modality in ("image", "text"):
            for one, two in zip(fitted.adapters[modality](items), other.adapters[modality](items), strict=True):
                assert torch.equal(one, two)
    write_adapters(tmp_path / "again.safetensors", found)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_one_file_holds_both_protocols_and_modalities(path):
    keys = load_file(path)
    for protocol in ("published", "corrected"):
        for modality in ("image", "text"):
            assert f"{protocol}.{modality}.mean.2.weight" in keys


def test_missing(tmp_path):
    with pytest.raises(OvertopError, match="no such file; run the rule"):
        read_adapters(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("keep", [0, 5, 0.1, 0.9])
def test_truncated(path, keep):
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else keep])
    with pytest.raises(OvertopError, match=r"a\.safetensors: damaged.*rebuild"):
        read_adapters(path)


def test_something_else(path):
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(OvertopError, match="no adapters of this version"):
        read_adapters(path)
    path.write_bytes(pickle.dumps({"weight": 1}))
    with pytest.raises(OvertopError, match="no adapters of this version"):
        read_adapters(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda facts, tensors: facts.update(width=WIDTH + 1),
        lambda facts, tensors: facts.pop("seed"),
        lambda facts, tensors: facts["spec"].update(dropout=2),
        lambda facts, tensors: tensors.pop("corrected.text.beta.0.bias"),
    ],
)
def test_facts_and_weights_that_do_not_fit(path, change):
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()[SCHEMA])
    tensors = load_file(path)
    change(facts, tensors)
    save_file(tensors, path, metadata={SCHEMA: json.dumps(facts)})
    with pytest.raises(OvertopError, match="no adapters of this version"):
        read_adapters(path)


def test_their_own_embeddings_are_accepted(adapters):
    adapters.check((WIDTH, WIDTH), [ENCODER])


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
def test_embeddings_of_another_encoder_are_refused(adapters, dims, encoder, message):
    with pytest.raises(OvertopError, match=message):
        adapters.check(dims, [ENCODER, encoder])


def test_an_ensemble_with_one_foreign_member_is_refused(adapters):
    foreign = dataclasses.replace(adapters, encoder={"name": "other"})
    with pytest.raises(OvertopError, match="declare an adapter for that encoder"):
        foreign.check([WIDTH, WIDTH], [{"name": "other"}, ENCODER])
