"""The mirror: the folder that relative paths in config.yaml refer to."""

from pathlib import Path

from overtop.errors import OvertopError


def resolve_in_mirror(path: str, mirror: str | None, key: str) -> Path:
    """The absolute form of a configured path: itself, or inside the mirror. It need not exist.

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
    if mirror is None:
        raise OvertopError(
            f"{key}: {path!r} is relative to the mirror, but no mirror is set; give an absolute path, or the folder "
            "that contains it: --config mirror=FOLDER"
        )
    return Path(mirror).expanduser() / resolved
