"""The raw folder of a split: resolving sources, and copying files into it."""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from overtop.config.datasets import WHOLE
from overtop.config.sources import SourceSpec
from overtop.downloads.fetch import fetch_files
from overtop.downloads.mirror import resolve_in_mirror
from overtop.errors import OvertopError, did_you_mean
from overtop.progress import track
from overtop.storage.files import is_leftover, is_temporary, resolve_inside, temporary_path

MARKER = ".fetched"
"""File in the raw folders that were made here, whose other files may be replaced and removed. If all of them are copies
with the names that they have in a folder of the user, it has the path of that folder."""


@dataclass(frozen=True)
class FetchContext:
    """The settings of a run that `fetch` needs in addition to the entry of the data set.

    Attributes:
        mirror: the folder that relative sources are inside, or None.
        seed: seed of the run, for data sets that are generated.
        data: the data folder, which also contains the downloads.
        sources: `sources` of config.yaml: what can be downloaded, by name.
    """

    mirror: str | None
    seed: int
    data: Path
    sources: Mapping[str, SourceSpec]

    def fetch_files(self, name: str, members: Sequence[str] = ()) -> list[Path]:
        """Local paths of verified files of one of the sources; see `overtop.downloads.fetch.fetch_files`.

        Args:
            name: the source.
            members: the requested files of a folder or hub repository; empty for a source that is one file.

        Raises:
            OvertopError: there is no such source, or its files cannot be fetched.
        """
        return fetch_files(name, self.source(name), members, self.data, self.mirror)

    def source(self, name: str) -> SourceSpec:
        """The entry of a source in config.yaml.

        Raises:
            OvertopError: there is no such source.
        """
        if name not in self.sources:
            raise OvertopError(f"config.yaml: `sources` has no {name!r}; {did_you_mean(name, self.sources)}")
        return self.sources[name]


def raw_folder(data: Path, dataset: str, split: str) -> Path:
    """The folder of the files that were fetched for a split."""
    return data / "raw" / dataset / split


def claim_folder(raw: Path) -> None:
    """Create the raw folder of a split, or check that it was made here.

    Fetching removes files that are no longer needed, which must not happen to a user's own folder that is linked to, or
    has been moved to, the place of a raw folder.

    Raises:
        OvertopError: it has files and no `MARKER`.
    """
    if (raw / MARKER).is_file():
        return
    own = next((path for path in raw.rglob("*") if not path.is_dir()), None)
    if own is not None or (raw.is_symlink() and not raw.is_dir()):
        raise OvertopError(
            f"{raw} was not made by fetching ({own or 'a broken link'}), and its files would be replaced or removed; "
            "move it elsewhere, or remove it if its files are in the source"
        )
    raw.mkdir(parents=True, exist_ok=True)
    (raw / MARKER).touch()


def name_original(message: str, raw: Path) -> str:
    """A message about files in a raw folder, with the names of the user's own files where they are copies of these."""
    marker = raw / MARKER
    folder = marker.read_text(encoding="utf-8", errors="replace") if marker.is_file() else ""
    return message.replace(str(raw), folder) if folder else message


def resolve_source(key: str, source: str, mirror: str | None) -> Path:
    """The existing file or folder of a data set: `source` itself if absolute, otherwise inside the mirror.

    Args:
        key: the key in config.yaml that holds `source`, for messages.
        source: the path.
        mirror: the mirror, or None.

    Raises:
        OvertopError: the path is relative and there is no mirror, or it does not exist.
    """
    path = resolve_in_mirror(source, mirror, key)
    if not path.exists():
        raise OvertopError(f"{key}: {path} does not exist; correct `mirror` or the path")
    return path


def resolve_whole(name: str, source: str, split: str, context: FetchContext) -> Path:
    """The existing file or folder of a data set whose only split is `WHOLE`.

    Raises:
        OvertopError: it has no such split, or as in `resolve_source`.
    """
    key = f"datasets.{name}"
    if split != WHOLE:
        raise unknown_split_error(split, key, [WHOLE])
    return resolve_source(f"{key}.source", source, context.mirror)


def unknown_split_error(split: str, place: str, splits: Iterable[str], fix: str = "") -> OvertopError:
    """The error that `place` has no split of this name, with the names of its splits, and what to do about it."""
    names = ", ".join(name if name.isprintable() else ascii(name) for name in sorted(splits))
    return OvertopError(
        "; ".join(filter(None, [f"{place} has no split {split!r}; its splits: {names or 'none'}", fix]))
    )


@contextmanager
def raw_file(folder: Path, name: str) -> Iterator[Path]:
    """Yield a temporary path for a file of a raw folder; rename it to its name on success.

    Bytes are not forced to the disk, which would take most of the time that many small files need: what a power failure
    spoils differs from the record of the split, and is fetched again before it is read.

    Args:
        folder: the raw folder, or one in it.
        name: relative path of the file.

    Raises:
        OvertopError: the path points outside the folder, or the disk is full.
    """
    target = resolve_inside(folder, name)
    with temporary_path(target) as temporary:
        yield temporary
        os.replace(temporary, target)


def copy_into(raw: Path, folder: Path, files: Mapping[str, str]) -> None:
    """Copy files from `folder` into `raw`, except those that exist with the same size and modification time.

    Args:
        raw: the raw folder of a split.
        folder: the folder of the originals.
        files: for each path in `raw` the path in `folder`, both relative.

    Raises:
        OvertopError: a path points outside its folder, or a file is missing.
    """
    if (raw / MARKER).is_file():
        is_same = all(target == origin for target, origin in files.items())
        with raw_file(raw, MARKER) as temporary:
            temporary.write_text(str(folder) if is_same else "", encoding="utf-8")
    for target_path, origin_path in track(files.items(), "fetch", "file"):
        resolve_inside(raw, origin_path)  # checked in `raw`, because the original folder may contain links out of it
        origin, target = folder / origin_path, resolve_inside(raw, target_path)
        if not origin.is_file():
            raise OvertopError(f"{origin} is missing; complete the source or remove what refers to it")
        status = origin.stat()
        if target.is_file() and (target.stat().st_size, target.stat().st_mtime) == (status.st_size, status.st_mtime):
            continue
        with raw_file(raw, target_path) as temporary:
            shutil.copyfile(origin, temporary)
            shutil.copystat(origin, temporary)
            temporary.chmod(0o644)


def remove_other_files(raw: Path, keep: Iterable[str]) -> None:
    """Remove all files from `raw` except `keep` and those that are being written, such as images of an earlier fetch.

    Args:
        raw: the raw folder of a split, which was claimed (`claim_folder`). Links in it are not followed.
        keep: relative paths.
    """
    kept_paths = {os.path.normpath(raw / relative) for relative in (MARKER, *keep)}
    for path in [p for p in raw.rglob("*") if p.is_file()]:
        is_being_written = is_temporary(path.name) and not is_leftover(path)
        if os.path.normpath(path) not in kept_paths and not is_being_written:
            path.unlink(missing_ok=True)  # another process may have removed it
