"""The checkpoint file of a trained encoder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from overtop.encoders.weights import METADATA_KEY
from overtop.storage.tensors import write_tensors


def save_checkpoint(model: Any, path: str | Path, facts: Mapping[str, Any] | None = None) -> None:
    """Write all weights of a model as safetensors, which open_clip loads like any other checkpoint, atomically.

    Args:
        model: the model.
        path: the file.
        facts: how the weights were made, JSON-able; `preprocessing` is used when the file is loaded.

    Raises:
        OvertopError: no space is left on the disk.
    """
    weights = {key: value.detach().cpu() for key, value in model.state_dict().items()}
    write_tensors(path, METADATA_KEY, weights, facts or {})
