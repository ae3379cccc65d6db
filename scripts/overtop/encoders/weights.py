"""Weights of an encoder: their download, the record of the downloaded file, and where to find them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError, safe_open

from overtop.config.encoders import EncoderSpec
from overtop.config.sources import FileSource, HubSource
from overtop.downloads.digests import Digest
from overtop.downloads.fetch import fetch_files
from overtop.encoders.compat import open_clip
from overtop.errors import MissingFileError, OvertopError
from overtop.storage.bounds import MAX_TENSORS
from overtop.storage.files import resolve_inside, sha256
from overtop.storage.foreign import read_text, report_damage
from overtop.storage.json_files import read_json, write_json
from overtop.storage.tensors import read_facts

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
"""File names of weights in open_clip's layout, safest first; the last is a pickle, read without running its code."""

_TYPES = ("F64", "F32", "F16", "BF16", "I64", "BOOL")
"""Types of the tensors of open_clip's models: weights, and positions and masks beside them."""

METADATA_KEY = "overtop"
"""Schema of the checkpoints that are written here; `preprocessing` is among their facts."""


class WeightsRecord(BaseModel):
    """The record of an encoder's downloaded weights, `data/weights/{encoder}.json`.

    Attributes:
        file: file with the weights, relative to the data folder.
        sha256, bytes: hex digest and size of that file.
        config: file with open_clip's description of the model, relative to the data folder; None if there is none.
        config_sha256: hex digest of that file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    sha256: str
    bytes: int
    config: str | None = None
    config_sha256: str | None = None


Number = Annotated[float, Field(allow_inf_nan=False)]
Deviation = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Pixels = Annotated[int, Field(ge=1, le=4096)]


class Preprocessing(BaseModel):
    """Options of open_clip's preprocessing that come with weights; a mistake in them would be blamed on every image."""

    model_config = ConfigDict(extra="ignore", frozen=True)  # as open_clip itself does

    size: Pixels | tuple[Pixels, Pixels] | None = None
    mode: Literal["RGB"] | None = None
    mean: Number | tuple[Number, Number, Number] | None = None
    std: Deviation | tuple[Deviation, Deviation, Deviation] | None = None
    interpolation: Literal["bicubic", "bilinear", "random"] | None = None
    resize_mode: Literal["shortest", "longest", "squash"] | None = None
    fill_color: Annotated[int, Field(ge=0, le=255)] | None = None


def fetch_weights(spec: EncoderSpec, data: Path) -> WeightsRecord:
    """Download the weights of an encoder that has a tag or a repository, unless they are in the data folder already.

    Args:
        spec: the encoder's entry in config.yaml.
        data: the data folder.

    Raises:
        OvertopError: they could not be downloaded, or differ from those recorded in the lock table.
    """
    if spec.hub:
        key, hub = spec.hub.replace("/", "--"), _hub_source(spec.hub)
        weights = _fetch_first_available(key, hub, WEIGHTS_FILES, data)
        [config] = fetch_files(key, hub, [CONFIG_FILE], data, None)
        return _make_record(weights, data, config)
    tag_config = open_clip.get_pretrained_cfg(spec.architecture, spec.tag)
    key = f"{spec.architecture}--{spec.tag}"
    if location := tag_config.get("hf_hub"):  # OWNER/NAME/ or OWNER/NAME/FILE
        repository, _, file = location.rpartition("/")
        files = [file] if file else WEIGHTS_FILES
        return _make_record(_fetch_first_available(key, _hub_source(repository), files, data), data)
    url = tag_config["url"]
    source = FileSource(kind="file", addresses=[url], file=Path(url).name, licence="")
    return _make_record(fetch_files(key, source, [], data, None)[0], data)


def _hub_source(repository: str) -> HubSource:
    return HubSource(kind="hub", repo=repository, repo_type="model", licence="")


def _fetch_first_available(key: str, source: HubSource, files: Sequence[str], data: Path) -> Path:
    """Download the first of `files` that the repository contains. Only a missing file leads on to the next one."""
    for file in files[:-1]:
        try:
            return fetch_files(key, source, [file], data, None)[0]
        except MissingFileError:
            continue
    return fetch_files(key, source, [files[-1]], data, None)[0]


def _make_record(path: Path, data: Path, config: Path | None = None) -> WeightsRecord:
    digest = Digest.of(path)
    return WeightsRecord(
        file=str(path.relative_to(data)),
        sha256=digest.sha256,
        bytes=digest.bytes,
        config=str(config.relative_to(data)) if config else None,
        config_sha256=sha256(config) if config else None,
    )


def write_weights_record(path: str | Path, record: WeightsRecord) -> None:
    """Write a record, atomically."""
    write_json(path, record.model_dump(mode="json"))


def locate_weights(
    name: str, location: str | Path, data: str | Path, *, is_trained_here: bool = False
) -> tuple[Path, dict[str, Any]]:
    """The file with an encoder's weights, and the preprocessing options stored with it (empty if there are none).

    Args:
        name: the encoder's name in config.yaml.
        location: a record that `write_weights_record` wrote, a folder in open_clip's layout, or the file itself.
        data: the data folder, which paths in a record are relative to.
        is_trained_here: whether the location is a checkpoint of this pipeline, which has a digest.

    Raises:
        OvertopError: the file is missing or damaged, or is not the recorded one.
    """
    location = Path(location)
    if is_trained_here:
        return location, _check_preprocessing(read_facts(location, METADATA_KEY).get("preprocessing", {}))
    if location.suffix == ".json" and location.is_file():
        return _locate_recorded_weights(name, location, Path(data))
    if location.is_dir():
        config = location / CONFIG_FILE
        return find_weights(name, location), _read_preprocessing(config) if config.is_file() else {}
    if not location.is_file():
        raise OvertopError(
            f"encoder {name!r}: checkpoint {location} does not exist; give the path of a file with weights"
        )
    return location, _read_stored_preprocessing(location)


def _read_stored_preprocessing(file: Path) -> dict[str, Any]:
    """The preprocessing options in a file that a user names, and that may be a checkpoint that was written here."""
    try:
        with safe_open(file, framework="pt") as content:
            metadata = content.metadata() or {}
    except SafetensorError:  # another format, or damaged: reported when the weights are loaded
        return {}
    if METADATA_KEY not in metadata:
        return {}
    facts = read_facts(file, METADATA_KEY, "train the encoder again")
    return _check_preprocessing(facts.get("preprocessing", {}))


def check_tensors(file: Path) -> None:
    """Check a safetensors file before its weights are loaded.

    Raises:
        ValueError: it has more tensors than any model, or values that are no weights: whole numbers would be converted
            to some without a word.
        SafetensorError: it is damaged.
    """
    with safe_open(file, framework="pt") as content:
        names = content.keys()
        if len(names) > MAX_TENSORS:
            raise ValueError(f"it has {len(names):,} tensors, more than {MAX_TENSORS:,}")
        for name in names:
            kind = content.get_slice(name).get_dtype()
            if kind not in _TYPES:
                raise ValueError(f"its tensor {name!r} is of type {kind}; save floating-point weights")


def find_weights(name: str, folder: str | Path) -> Path:
    """The file with the weights in a folder: by open_clip's names, or else the only safetensors file.

    Raises:
        OvertopError: there is no such file, or there are several.
    """
    named_files = [path for path in (Path(folder) / file for file in WEIGHTS_FILES) if path.is_file()]
    candidates = named_files[:1] or sorted(Path(folder).glob("*.safetensors"))
    if len(candidates) != 1:
        raise OvertopError(
            f"encoder {name!r}: folder {folder} contains {len(candidates)} files with weights; "
            f"keep one, named {WEIGHTS_FILES[0]}"
        )
    return candidates[0]


def _locate_recorded_weights(name: str, record_path: Path, data: Path) -> tuple[Path, dict[str, Any]]:
    record = WeightsRecord.model_validate(read_json(record_path))
    file = resolve_inside(data, record.file)
    _check_recorded(name, file, record.sha256, record_path)
    if record.config is None:
        return file, {}
    config = resolve_inside(data, record.config)
    _check_recorded(name, config, record.config_sha256, record_path)
    return file, _read_preprocessing(config)


def _check_recorded(name: str, file: Path, digest: str | None, record_path: Path) -> None:
    if not file.is_file():
        raise OvertopError(
            f"encoder {name!r}: its file {file} is missing; on a node with network, `snakemake --force {record_path}` "
            "downloads it"
        )
    if sha256(file) != digest:
        raise OvertopError(
            f"encoder {name!r}: {file} is not the file recorded in {record_path}; "
            "delete both and run the same command again"
        )


def _read_preprocessing(config: Path) -> dict[str, Any]:
    with report_damage(config, "use open_clip's own description", "no preprocess_cfg"):
        return _check_preprocessing(json.loads(read_text(config))["preprocess_cfg"])


def _check_preprocessing(values: Any) -> dict[str, Any]:
    """Options of preprocessing as they are stored, after a check."""
    Preprocessing.model_validate(values, strict=False)
    return dict(values)
