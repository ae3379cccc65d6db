"""The mirror: the folder that relative paths in config.yaml refer to."""

import os
from pathlib import Path

from overtop.errors import OvertopError

MIRROR_VARIABLE = "OVERTOP_MIRROR"
"""Environment variable with the mirror."""


def resolve_in_mirror(path: str, mirror: str | None, key: str) -> Path:
    """The absolute form of a configured path: itself, or inside the mirror. It need not exist.

    If the configuration names no mirror, it is the environment variable OVERTOP_MIRROR: not every tool that starts
    Snakemake can pass `--config` to it.

    Args:
        path: absolute, or relative to the mirror.
        mirror: the folder (`mirror` in config.yaml), or None.
        key: the key in config.yaml that holds `path`, for the error message.

    Raises:
        OvertopError: the path is relative and no mirror is set.
    """
    resolved = Path(path).expanduser()
    if resolved.is_absolute():
        return resolved
    mirror = mirror or os.environ.get(MIRROR_VARIABLE)
    if not mirror:
        raise OvertopError(
            f"{key}: {path!r} is relative to the mirror, but no mirror is set; give an absolute path, or the folder "
            f"that contains it: --config mirror=FOLDER, or the environment variable {MIRROR_VARIABLE}"
        )
    return Path(mirror).expanduser() / resolved
