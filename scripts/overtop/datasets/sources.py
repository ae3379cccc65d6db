"""Bringing files from where the user has them into the data folder."""

import shutil
from pathlib import Path

from tqdm import tqdm

from overtop.errors import OvertopError
from overtop.files import atomic_path, sha256, write_json

RECORD = "source.json"


def locate(name: str, source: str, mirror: str | None) -> Path:
    """The file or folder a data set's `source` names: absolute, or inside the mirror.

    Raises:
        OvertopError: there is no such place; the message says which keys to set.
    """
    place = Path(source).expanduser()
    if not place.is_absolute():
        if mirror is None:
            raise OvertopError(
                f"data set {name!r} comes from {source!r} inside a mirror, and no mirror is set; "
                "name the folder that holds it: --config mirror=FOLDER"
            )
        place = Path(mirror).expanduser() / source
    if not place.exists():
        raise OvertopError(f"data set {name!r}: {place} does not exist; correct `mirror` or datasets.{name}.source")
    return place


def copy_into(raw: Path, place: Path, relatives: list[str]) -> None:
    """Copy files from `place` to the same relative paths in `raw`; what is there with the same size and time stays."""
    for relative in tqdm(relatives, desc="fetch", unit="file", disable=None):
        origin, target = place / relative, raw / relative
        if not origin.is_file():
            raise OvertopError(f"{origin} is missing; complete the source or remove what refers to it")
        status = origin.stat()
        if target.is_file() and (target.stat().st_size, target.stat().st_mtime) == (status.st_size, status.st_mtime):
            continue
        with atomic_path(target) as temporary:
            shutil.copyfile(origin, temporary)
            shutil.copystat(origin, temporary)
            temporary.chmod(0o644)


def record(raw: Path) -> None:
    """Write `source.json`: size and sha256 of every file of the data set."""
    files = sorted(p for p in raw.rglob("*") if p.is_file() and p.name != RECORD and not p.name.startswith("."))
    write_json(raw / RECORD, {str(p.relative_to(raw)): {"bytes": p.stat().st_size, "sha256": sha256(p)} for p in files})
