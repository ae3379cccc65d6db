"""Where an encoder's weights lie: downloaded once, on a node with network, and verified ever after."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from overtop.config.encoders import EncoderSpec
from overtop.config.sources import FileSource, HubSource
from overtop.downloads.digests import Digest
from overtop.downloads.fetch import bring
from overtop.encoders.catalogue import tag_facts
from overtop.errors import NotThere, OvertopError
from overtop.storage.files import sha256, write_json

CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
"""Names of weights in open_clip's layout, the safer ones first (the last is read without running its pickle's code)."""


class Weights(BaseModel):
    """The record `data/weights/{encoder}.json`.

    Attributes:
        file: the weights, relative to the data folder.
        sha256, bytes: of that file.
        config: open_clip's description of the model beside it, relative to the data folder; None without.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    sha256: str
    bytes: int
    config: str | None = None


def fetch_weights(name: str, spec: EncoderSpec, data: Path) -> Weights:
    """Download the weights of an encoder with a tag or a repository, or find them downloaded.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry.
        data: the data folder.

    Raises:
        OvertopError: they cannot be had, or are others than those recorded in the lock table.
    """
    if spec.hub:
        key, hub = spec.hub.replace("/", "--"), HubSource(kind="hub", repo=spec.hub, repo_type="model", licence="")
        weights = _first_of(key, hub, WEIGHTS, data)
        [config] = bring(key, hub, [CONFIG], data, None)
        return _record(weights, data, config)
    facts = tag_facts(spec.architecture, spec.tag or "")
    key = f"{spec.architecture}--{spec.tag}"
    if repo := facts.get("hf_hub"):
        owner_and_name, _, file = repo.rpartition("/")
        hub = HubSource(kind="hub", repo=owner_and_name, repo_type="model", licence="")
        return _record(_first_of(key, hub, [file] if file else WEIGHTS, data), data)
    address = facts["url"]
    file_source = FileSource(kind="file", addresses=[address], file=Path(address).name, licence="")
    return _record(bring(key, file_source, [], data, None)[0], data)


def _first_of(key: str, source: HubSource, files: Sequence[str], data: Path) -> Path:
    for file in files[:-1]:
        try:
            return bring(key, source, [file], data, None)[0]
        except NotThere:
            continue  # a repository has its weights under one of these names
    return bring(key, source, [files[-1]], data, None)[0]


def _record(path: Path, data: Path, config: Path | None = None) -> Weights:
    digest = Digest.of(path)
    return Weights(
        file=str(path.relative_to(data)),
        sha256=digest.sha256,
        bytes=digest.bytes,
        config=str(config.relative_to(data)) if config else None,
    )


def write_weights(path: str | Path, weights: Weights) -> None:
    """Write the record, atomically."""
    write_json(path, weights.model_dump(mode="json"))


def locate(name: str, place: str | Path) -> tuple[Path, dict[str, Any]]:
    """The file with the weights, and the preprocessing that lies beside it, if any.

    Args:
        name: the encoder's name in config.yaml.
        place: a record of `write_weights` (in DATA/weights), a folder in open_clip's layout, or the file itself.

    Raises:
        OvertopError: nothing is there, or the file is not the one that was recorded.
    """
    place = Path(place)
    if place.suffix == ".json" and place.is_file():
        return _recorded(name, place)
    if place.is_dir():
        config = place / CONFIG
        return weights_in(name, place), _preprocessing(config) if config.is_file() else {}
    if not place.is_file():
        raise OvertopError(f"encoder {name!r}: checkpoint {place} does not exist; give the path of a file with weights")
    return place, {}


def weights_in(name: str, folder: str | Path) -> Path:
    """The file with the weights in a folder.

    Raises:
        OvertopError: there is none, or it cannot be told which.
    """
    named = [path for path in (Path(folder) / file for file in WEIGHTS) if path.is_file()]
    found = named[:1] or sorted(Path(folder).glob("*.safetensors"))
    if len(found) != 1:
        raise OvertopError(
            f"encoder {name!r}: folder {folder} holds {len(found)} files of weights; leave one, named {WEIGHTS[0]}"
        )
    return found[0]


def _recorded(name: str, path: Path) -> tuple[Path, dict[str, Any]]:
    data = path.parent.parent
    weights = Weights.model_validate_json(path.read_text())
    file = data / weights.file
    if not file.is_file():
        raise OvertopError(
            f"encoder {name!r}: its weights {file} are gone; delete {path} and run the same command on a node with "
            "network, they are then downloaded again"
        )
    if file.stat().st_size != weights.bytes or sha256(file) != weights.sha256:
        raise OvertopError(
            f"encoder {name!r}: {file} is not the file that {path} records; delete both and run the same command again"
        )
    return file, _preprocessing(data / weights.config) if weights.config else {}


def _preprocessing(config: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(config.read_text())["preprocess_cfg"])
    except (OSError, ValueError, KeyError) as error:
        raise OvertopError(f"{config}: no preprocess_cfg ({error}); give open_clip's own description") from error
