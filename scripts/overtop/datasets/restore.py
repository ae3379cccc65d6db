"""Raw files are verified before they are read, and fetched again if they are missing or differ from their record.

Snakemake cannot do this: raw files are no outputs of a rule, since there are very many of them, and a missing record
would rerun everything that was made from them.
"""

import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from overtop.datasets.raw import claim_folder
from overtop.datasets.source_records import SourceRecord, list_files, read_source_record
from overtop.downloads.digests import Digest
from overtop.downloads.lock import exclusive_lock
from overtop.errors import OvertopError
from overtop.storage.files import resolve_inside

_FILES_PER_TASK = 64

logger = logging.getLogger(__name__)


def ensure_raw(
    record_path: str | os.PathLike[str], data: Path, mirror: str | None, files: Iterable[str] | None = None
) -> None:
    """Verify raw files of a split; if one is missing or differs from the record, fetch the split again.

    Files are put into place one by one and only if they are those of the record, so that other jobs may read the
    folder meanwhile. Of several jobs that find damage, one fetches.

    Args:
        record_path: the record of the split, `data/sources/{dataset}/{split}.json`.
        data: the data folder.
        mirror: the folder that relative sources are inside, or None.
        files: the files that are needed, relative to the data folder, as in a manifest; empty names are ignored. By
            default all files of the record, and then the folder may have no others.

    Raises:
        OvertopError: the record is damaged, the split cannot be fetched, or its source now gives other files.
    """
    needed = None if files is None else sorted(set(filter(None, files)))
    if needed == []:
        return
    record = read_source_record(record_path)
    raw = record.request.raw_folder(data)
    names = sorted(record.files) if needed is None else [*_names_in_record(needed, record_path, record, data)]
    if find_damaged(raw, record, names):
        with exclusive_lock(raw):
            # Again, and all of them: another job may have fetched them meanwhile, and the next one needs the others.
            if damaged := find_damaged(raw, record, sorted(record.files)):
                _restore(record_path, record, damaged, data, mirror)
    if needed is None:
        _check_no_others(raw, record, record_path)


def find_damaged(raw: Path, record: SourceRecord, names: Sequence[str]) -> list[str]:
    """Which of some files of a record are missing, or differ in size or content; reads all others, in threads.

    Args:
        raw: the folder of the files.
        record: their record.
        names: the files, as in the record.
    """

    def find(chunk: Sequence[str]) -> list[str]:
        return [name for name in chunk if not _is_intact(raw / name, record.files[name])]

    chunks = [names[at : at + _FILES_PER_TASK] for at in range(0, len(names), _FILES_PER_TASK)]
    with ThreadPoolExecutor() as readers:
        return [name for damaged in readers.map(find, chunks) for name in damaged]


def _is_intact(path: Path, expected: Digest) -> bool:
    try:
        # The size first, because it needs no reading.
        return path.is_file() and path.stat().st_size == expected.bytes and Digest.of(path) == expected
    except OSError:
        return False


def _names_in_record(
    files: Sequence[str], record_path: str | os.PathLike[str], record: SourceRecord, data: Path
) -> Iterator[str]:
    """The names in the record of files that are given relative to the data folder."""
    prefix = f"{record.request.raw_folder(data).relative_to(data).as_posix()}/"
    for file in files:
        name = file.removeprefix(prefix)
        if not file.startswith(prefix) or name not in record.files:
            raise OvertopError(
                f"{data / file} is not among the files of {record_path}; the manifest is of other files, delete it and "
                "run the same command again"
            )
        yield name


def _restore(
    record_path: str | os.PathLike[str], record: SourceRecord, damaged: Sequence[str], data: Path, mirror: str | None
) -> None:
    """Fetch a split again in a folder of its own, and move the damaged files from there into place."""
    raw = record.request.raw_folder(data)
    problem = _describe(raw, damaged, record_path)
    logger.warning("%s; fetching the split again", problem)
    claim_folder(raw)
    staging = raw.with_name(f".{raw.name}.restored")
    shutil.rmtree(staging, ignore_errors=True)  # of a job that was killed
    try:
        record.request.fetch(staging, data, mirror)
    except OvertopError as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise OvertopError(f"{problem}, and cannot be fetched again: {error}") from error
    try:
        if changed := find_damaged(staging, record, damaged):
            raise OvertopError(
                f"{_describe(raw, changed, record_path)}, and the source now gives another file; put the former one "
                "back into the source, or fetch the split anew, and make again all that depends on it: "
                f"snakemake --forcerun {record_path} -- TARGET"
            )
        for name in damaged:
            _move(staging / name, resolve_inside(raw, name))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _describe(raw: Path, damaged: Sequence[str], record_path: str | os.PathLike[str]) -> str:
    others = f" and {len(damaged) - 1} other files" if len(damaged) > 1 else ""
    return f"{raw / damaged[0]}{others}: missing, or not the file recorded in {record_path}"


def _move(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise OvertopError(f"{target} is needed as a file, and a folder or file is in its way; remove that") from error


def _check_no_others(raw: Path, record: SourceRecord, record_path: str | os.PathLike[str]) -> None:
    """Some kinds of data sets read whatever is in the folder; hidden files are ignored by all."""
    for name in list_files(raw):
        if name not in record.files and not any(part.startswith(".") for part in name.split("/")):
            raise OvertopError(
                f"{raw / name} is not among the files of {record_path}; remove it, and add files to the source instead"
            )
