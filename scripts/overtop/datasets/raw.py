"""Bringing files from where they are into the raw folder of a split."""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from overtop.config.sources import SourceSpec
from overtop.downloads.fetch import bring
from overtop.errors import OvertopError, suggestion
from overtop.storage.files import atomic_path, in_mirror, inside, sha256, write_json

RECORD = "source.json"


@dataclass(frozen=True)
class Context:
    """What `fetch` may draw on besides the data set's own entry.

    Attributes:
        mirror: folder that holds the sources of data sets, None without.
        seed: seed of the run, for data sets that are drawn.
        data: the data folder; what is downloaded lies in it.
        sources: what can be downloaded, by name (`sources` in config.yaml).
    """

    mirror: str | None
    seed: int
    data: Path
    sources: Mapping[str, SourceSpec]

    def bring(self, name: str, members: Sequence[str] = ()) -> list[Path]:
        """Files of one of `sources`, verified, here on disk.

        Args:
            name: which source.
            members: the wanted files of a folder or a repository; a source that is one file has none.

        Raises:
            OvertopError: there is no such source, or its files cannot be had.
        """
        return bring(name, self.source(name), members, self.data, self.mirror)

    def source(self, name: str) -> SourceSpec:
        """What config.yaml says of one of `sources`."""
        if name not in self.sources:
            raise OvertopError(f"config.yaml: `sources` has no {name!r}; {suggestion(name, self.sources)}")
        return self.sources[name]


def locate(name: str, source: str, mirror: str | None) -> Path:
    """The file or folder a data set's `source` names: absolute, or inside the mirror.

    Raises:
        OvertopError: there is no such place; the message says which keys to set.
    """
    place = in_mirror(source, mirror, f"data set {name!r} comes from {source!r}")
    if not place.exists():
        raise OvertopError(f"data set {name!r}: {place} does not exist; correct `mirror` or datasets.{name}.source")
    return place


def no_split(split: str, where: str, known: Iterable[str]) -> OvertopError:
    """The error that `where` has no such split; it names those there are."""
    return OvertopError(f"{where} has no split {split!r}; its splits: {', '.join(sorted(known)) or 'none'}")


def copy_into(raw: Path, place: Path, files: Mapping[str, str]) -> None:
    """Copy files from `place` into `raw`; what is there with the same size and time stays.

    Args:
        files: for each path in `raw` its path in `place`, both relative.

    Raises:
        OvertopError: a path leaves its folder, or a file is missing.
    """
    for target_path, origin_path in tqdm(files.items(), desc="fetch", unit="file", disable=None):
        inside(raw, origin_path)  # judged in `raw`, which has no links: a source may well be made of them
        origin, target = place / origin_path, inside(raw, target_path)
        if not origin.is_file():
            raise OvertopError(f"{origin} is missing; complete the source or remove what refers to it")
        status = origin.stat()
        if target.is_file() and (target.stat().st_size, target.stat().st_mtime) == (status.st_size, status.st_mtime):
            continue
        with atomic_path(target) as temporary:
            shutil.copyfile(origin, temporary)
            shutil.copystat(origin, temporary)
            temporary.chmod(0o644)


def keep_only(raw: Path, relatives: Iterable[str]) -> None:
    """Remove every other file from `raw`: what an earlier fetch, of other images or by another way, left behind."""
    kept = {os.path.normpath(raw / relative) for relative in relatives}
    for path in [p for p in raw.rglob("*") if p.is_file()]:
        if os.path.normpath(path) not in kept:
            path.unlink()


def record(raw: Path) -> None:
    """Write `source.json`: size and sha256 of every file of the split."""
    files = sorted(p for p in raw.rglob("*") if p.is_file() and p.name != RECORD and not p.name.startswith("."))
    write_json(raw / RECORD, {str(p.relative_to(raw)): {"bytes": p.stat().st_size, "sha256": sha256(p)} for p in files})
