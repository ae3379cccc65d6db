"""The checkpoint file of a trained encoder."""

from pathlib import Path
from typing import Any

from safetensors.torch import save

from overtop.storage.files import atomic_path


def save_checkpoint(model: Any, path: str | Path) -> None:
    """Write all weights of a model as safetensors, which open_clip loads like any other checkpoint, atomically.

    Raises:
        OvertopError: no space is left on the disk.
    """
    weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(weights))  # `save_file` creates a file that only its owner can read
