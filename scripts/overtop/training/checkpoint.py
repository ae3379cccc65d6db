"""The checkpoint file of a trained encoder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save

from overtop.encoders.weights import METADATA_KEY
from overtop.storage.files import atomic_path


def save_checkpoint(model: Any, path: str | Path, facts: Mapping[str, Any] | None = None) -> None:
    """Write all weights of a model as safetensors, which open_clip loads like any other checkpoint, atomically.

    Args:
        model: the model.
        path: the file.
        facts: how the weights were made, JSON-able; `preprocessing` is used when the file is loaded.

    Raises:
        OvertopError: no space is left on the disk.
    """
    weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    metadata = None if facts is None else {METADATA_KEY: json.dumps(facts, sort_keys=True)}
    with atomic_path(path) as temporary:
        # `save_file` creates a file that only its owner can read.
        temporary.write_bytes(save(weights, metadata=metadata))
