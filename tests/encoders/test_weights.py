"""Weights come from the hub once, in the safer of their forms, and are held against their record ever after."""

import json

import pytest

from overtop.config.encoders import EncoderSpec
from overtop.encoders.weights import CONFIG, WEIGHTS, Weights, fetch_weights, locate, weights_in, write_weights
from overtop.errors import NotThere, OvertopError
from overtop.storage.files import sha256

TAG = EncoderSpec(architecture="ViT-B-32", tag="openai")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """What a hub holds, by repository and file; fetched files lie where the real ones would."""
    offered, asked = {}, []

    def bring(name, source, members, data, mirror):
        assert mirror is None
        [member] = members or [source.file]
        place = getattr(source, "repo", None) or source.addresses[0]
        asked.append((place, member))
        if (place, member) not in offered:
            raise NotThere(f"{place} has no file {member}")
        path = data / "downloads" / name / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(offered[place, member])
        return [path]

    monkeypatch.setattr("overtop.encoders.weights.bring", bring)
    offered["asked"] = asked
    return offered


def test_a_tags_weights_are_those_that_open_clip_names(hub, tmp_path):
    repo = "timm/vit_base_patch32_clip_224.openai"
    hub[repo, WEIGHTS[0]] = b"safe"
    hub[repo, WEIGHTS[2]] = b"pickled"
    found = fetch_weights("b32", TAG, tmp_path)
    assert found == Weights(
        file=f"downloads/ViT-B-32--openai/{WEIGHTS[0]}", sha256=sha256(tmp_path / found.file), bytes=4
    )
    assert hub["asked"] == [(repo, WEIGHTS[0])]


def test_two_encoders_of_one_tag_share_a_file(hub, tmp_path):
    hub["timm/vit_base_patch32_clip_224.openai", WEIGHTS[0]] = b"safe"
    mismatched = TAG.model_copy(update={"activation": "gelu"})
    assert fetch_weights("a", TAG, tmp_path) == fetch_weights("b", mismatched, tmp_path)


def test_the_next_form_only_where_the_safer_is_absent(hub, tmp_path):
    hub["timm/vit_base_patch32_clip_224.openai", WEIGHTS[2]] = b"pickled"
    assert fetch_weights("b32", TAG, tmp_path).file.endswith(WEIGHTS[2])
    assert [file for _, file in hub["asked"]] == list(WEIGHTS)


def test_a_failure_that_is_no_absence_ends_the_search(tmp_path, monkeypatch):
    """open_clip itself would go on and take the pickle."""

    def bring(*_):
        raise OvertopError("answered 429")

    monkeypatch.setattr("overtop.encoders.weights.bring", bring)
    with pytest.raises(OvertopError, match="answered 429"):
        fetch_weights("b32", TAG, tmp_path)


def test_a_repository_brings_its_preprocessing(hub, tmp_path):
    hub["a/b", WEIGHTS[0]] = b"weights"
    hub["a/b", CONFIG] = json.dumps({"model_cfg": {}, "preprocess_cfg": {"mean": [0.1, 0.2, 0.3]}}).encode()
    weights = fetch_weights("x", EncoderSpec(architecture="ViT-B-32", hub="a/b"), tmp_path)
    write_weights(tmp_path / "weights/x.json", weights)
    path, preprocessing = locate("x", tmp_path / "weights/x.json")
    assert path.read_bytes() == b"weights"
    assert preprocessing == {"mean": [0.1, 0.2, 0.3]}


@pytest.mark.parametrize("harm", ["altered", "gone"])
def test_a_record_is_held_against_its_file(tmp_path, harm):
    file = tmp_path / "downloads/n/w.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    record = tmp_path / "weights/x.json"
    write_weights(record, Weights(file="downloads/n/w.safetensors", sha256=sha256(file), bytes=7))
    assert locate("x", record) == (file, {})
    if harm == "altered":
        file.write_bytes(b"WEIGHTS")
        message = "is not the file that .* records"
    else:
        file.unlink()
        message = "are gone; delete .* on a node with network"
    with pytest.raises(OvertopError, match=message):
        locate("x", record)


def test_a_folder_holds_one_set_of_weights(tmp_path):
    with pytest.raises(OvertopError, match="holds 0 files of weights"):
        weights_in("x", tmp_path)
    (tmp_path / "mine.safetensors").write_bytes(b"1")
    assert weights_in("x", tmp_path).name == "mine.safetensors"
    (tmp_path / "other.safetensors").write_bytes(b"2")
    with pytest.raises(OvertopError, match="holds 2 files of weights"):
        weights_in("x", tmp_path)
    (tmp_path / WEIGHTS[0]).write_bytes(b"3")
    assert weights_in("x", tmp_path).name == WEIGHTS[0]
    (tmp_path / CONFIG).write_text("{}")
    with pytest.raises(OvertopError, match="no preprocess_cfg"):
        locate("x", tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OvertopError, match=r"encoder 'x': checkpoint .*gone\.pt does not exist"):
        locate("x", tmp_path / "gone.pt")
