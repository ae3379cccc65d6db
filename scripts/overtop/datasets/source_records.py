"""data/sources: what was fetched for each split, and the size and sha256 of every file in its raw folder.

A record is small and holds the whole request, so that raw files can be verified and fetched again without config.yaml.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import ValidationError

from overtop.config.base import Model, Name
from overtop.config.datasets import StoredDatasetSpec
from overtop.config.sources import SourceSpec
from overtop.datasets.raw import MARKER, FetchContext, raw_folder
from overtop.datasets.registry import fetch_split
from overtop.downloads.digests import Digest
from overtop.errors import OvertopError
from overtop.storage.files import is_temporary
from overtop.storage.json_files import read_json, write_json


class FetchRequest(Model):
    """All that decides which files a split has, except the mirror, which may move.

    Attributes:
        dataset, split: names.
        spec: the keys of the data set's entry that decide its files.
        sources: the `sources` that it can be downloaded from.
        seed: seed of the run, for data sets that are generated.
    """

    dataset: Name
    split: Name
    spec: StoredDatasetSpec
    sources: dict[str, SourceSpec]
    seed: int

    def fetch(self, raw: Path, data: Path, mirror: str | None) -> None:
        """Write the files of the split into `raw`.

        Args:
            raw: its raw folder, or an empty one.
            data: the data folder, which also contains the downloads.
            mirror: the folder that relative sources are inside, or None.

        Raises:
            OvertopError: as `fetch_split`.
        """
        context = FetchContext(mirror, self.seed, data, self.sources)
        fetch_split(self.dataset, self.spec, self.split, raw, context)

    def raw_folder(self, data: Path) -> Path:
        """The raw folder of the split."""
        return raw_folder(data, self.dataset, self.split)


@dataclass(frozen=True)
class SourceRecord:
    """What was fetched for a split.

    Attributes:
        request: what to fetch to get the files again.
        files: size and sha256 of each file, by its path in the raw folder.
    """

    request: FetchRequest
    files: Mapping[str, Digest]


def list_files(raw: Path) -> list[str]:
    """The paths of all fetched files in a raw folder, relative to it, sorted."""
    files = (path for path in raw.rglob("*") if path.is_file() and not is_temporary(path.name))
    return sorted(name for name in (path.relative_to(raw).as_posix() for path in files) if name != MARKER)


def write_source_record(path: str | os.PathLike[str], request: FetchRequest, raw: Path) -> None:
    """Write the record of all files in the raw folder of a split."""
    names = list_files(raw)
    with ThreadPoolExecutor() as readers:
        digests = readers.map(lambda name: asdict(Digest.of(raw / name)), names)
        files = dict(zip(names, digests, strict=True))
    write_json(path, {"request": request.model_dump(mode="json", exclude_unset=True), "files": files})


def read_source_record(path: str | os.PathLike[str]) -> SourceRecord:
    """Read what `write_source_record` wrote.

    Raises:
        OvertopError: the file is missing, damaged, or of another version.
    """
    try:
        values = read_json(path)
        request = FetchRequest.model_validate(values["request"])
        return SourceRecord(request, {name: Digest(**digest) for name, digest in values["files"].items()})
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise OvertopError(f"{path}: is no record of fetched files ({reason}); fetch the split again") from error
