"""Weights are downloaded once, as safetensors if possible, and verified against their record at each use."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from overtop.config.encoders import EncoderSpec
from overtop.encoders import weights
from overtop.encoders.weights import (
    CONFIG_FILE,
    WEIGHTS_FILES,
    WeightsRecord,
    check_tensors,
    fetch_weights,
    find_weights,
    locate_weights,
    write_weights_record,
)
from overtop.errors import MissingFileError, OvertopError
from overtop.storage.files import sha256

SPEC = EncoderSpec(architecture="ViT-B-32", tag="openai")
REPOSITORY = "timm/vit_base_patch32_clip_224.openai"


@dataclass
class FakeHub:
    """Contents of repositories by repository and file, and the requested files in order."""

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def fetch_files(self, name, source, members, data, mirror) -> list[Path]:
        """Write the requested file where the real function does."""
        assert mirror is None
        [member] = members or [source.file]
        request = getattr(source, "repo", None) or source.addresses[0], member
        self.requests.append(request)
        if request not in self.files:
            raise MissingFileError(f"{request[0]} has no file {member}")
        path = data / "downloads" / name / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.files[request])
        return [path]


@pytest.fixture
def hub(monkeypatch):
    hub = FakeHub()
    monkeypatch.setattr("overtop.encoders.weights.fetch_files", hub.fetch_files)
    return hub


def test_weights_of_a_tag_are_those_that_open_clip_names(hub, tmp_path):
    hub.files[REPOSITORY, WEIGHTS_FILES[0]] = b"safe"
    hub.files[REPOSITORY, WEIGHTS_FILES[2]] = b"pickled"
    record = fetch_weights(SPEC, tmp_path)
    file = f"downloads/ViT-B-32--openai/{WEIGHTS_FILES[0]}"
    assert record == WeightsRecord(file=file, sha256=sha256(tmp_path / file), bytes=4)
    assert hub.requests == [(REPOSITORY, WEIGHTS_FILES[0])]


def test_encoders_with_the_same_tag_share_a_file(hub, tmp_path):
    hub.files[REPOSITORY, WEIGHTS_FILES[0]] = b"safe"
    mismatched = SPEC.model_copy(update={"activation": "gelu"})
    assert fetch_weights(SPEC, tmp_path) == fetch_weights(mismatched, tmp_path)


def test_less_safe_file_is_used_only_if_the_safer_ones_are_missing(hub, tmp_path):
    hub.files[REPOSITORY, WEIGHTS_FILES[2]] = b"pickled"
    assert fetch_weights(SPEC, tmp_path).file.endswith(WEIGHTS_FILES[2])
    assert [file for _, file in hub.requests] == list(WEIGHTS_FILES)


def test_download_error_does_not_lead_to_a_less_safe_file(tmp_path, monkeypatch):
    """open_clip itself would continue with the pickle."""

    def failing_fetch_files(*_):
        raise OvertopError("answered 429")

    monkeypatch.setattr("overtop.encoders.weights.fetch_files", failing_fetch_files)
    with pytest.raises(OvertopError, match="answered 429"):
        fetch_weights(SPEC, tmp_path)


def test_weights_of_a_repository_come_with_its_preprocessing(hub, tmp_path):
    hub.files["a/b", WEIGHTS_FILES[0]] = b"weights"
    config = {"model_cfg": {}, "preprocess_cfg": {"mean": [0.1, 0.2, 0.3]}}
    hub.files["a/b", CONFIG_FILE] = json.dumps(config).encode()
    record = fetch_weights(EncoderSpec(architecture="ViT-B-32", hub="a/b"), tmp_path)
    write_weights_record(tmp_path / "weights/x.json", record)
    path, preprocessing = locate_weights("x", tmp_path / "weights/x.json", tmp_path)
    assert path.read_bytes() == b"weights"
    assert preprocessing == {"mean": [0.1, 0.2, 0.3]}


@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_recorded_file_that_is_altered_or_missing_is_rejected(tmp_path, damage):
    file = tmp_path / "downloads/n/w.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    record_path = tmp_path / "elsewhere/x.json"
    write_weights_record(record_path, WeightsRecord(file="downloads/n/w.safetensors", sha256=sha256(file), bytes=7))
    assert locate_weights("x", record_path, tmp_path) == (file, {})
    if damage == "altered":
        file.write_bytes(b"WEIGHTS")
        message = "is not the file recorded in"
    else:
        file.unlink()
        message = "is missing; on a node with network, `snakemake --force .*` downloads it"
    with pytest.raises(OvertopError, match=message):
        locate_weights("x", record_path, tmp_path)


def test_folder_must_contain_one_file_with_weights(tmp_path):
    with pytest.raises(OvertopError, match="contains 0 files with weights"):
        find_weights("x", tmp_path)
    (tmp_path / "mine.safetensors").write_bytes(b"1")
    assert find_weights("x", tmp_path).name == "mine.safetensors"
    (tmp_path / "other.safetensors").write_bytes(b"2")
    with pytest.raises(OvertopError, match="contains 2 files with weights"):
        find_weights("x", tmp_path)
    (tmp_path / WEIGHTS_FILES[0]).write_bytes(b"3")
    assert find_weights("x", tmp_path).name == WEIGHTS_FILES[0]


def test_folder_with_invalid_config_is_rejected(tmp_path):
    (tmp_path / WEIGHTS_FILES[0]).write_bytes(b"weights")
    (tmp_path / CONFIG_FILE).write_text("{}")
    with pytest.raises(OvertopError, match="no preprocess_cfg"):
        locate_weights("x", tmp_path, tmp_path)


def test_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(OvertopError, match=r"encoder 'x': checkpoint .*gone\.pt does not exist"):
        locate_weights("x", tmp_path / "gone.pt", tmp_path)


@pytest.mark.parametrize(
    "options",
    [{"size": 0}, {"size": "x"}, {"std": [0, 1, 1]}, {"mean": [1]}, {"mode": "L"}, {"interpolation": "none"}, 7],
)
def test_options_that_no_image_can_be_preprocessed_with_are_rejected(tmp_path, options):
    (tmp_path / WEIGHTS_FILES[0]).write_bytes(b"weights")
    (tmp_path / CONFIG_FILE).write_text(json.dumps({"preprocess_cfg": options}))
    with pytest.raises(OvertopError, match=r"open_clip_config\.json: no preprocess_cfg"):
        locate_weights("x", tmp_path, tmp_path)


def test_record_that_points_outside_the_data_folder_is_rejected(tmp_path):
    write_weights_record(tmp_path / "x.json", WeightsRecord(file="../w.bin", sha256="", bytes=0))
    with pytest.raises(OvertopError, match="points outside"):
        locate_weights("x", tmp_path / "x.json", tmp_path)


def test_tensors_of_whole_numbers_and_too_many_are_rejected(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.ones(3, dtype=torch.int32)}, path)
    with pytest.raises(ValueError, match="tensor 'a' is of type I32"):
        check_tensors(path)
    save_file({"a": torch.ones(3), "b": torch.ones(3)}, path)
    check_tensors(path)
    monkeypatch.setattr(weights, "MAX_TENSORS", 1)
    with pytest.raises(ValueError, match="it has 2 tensors, more than 1"):
        check_tensors(path)
