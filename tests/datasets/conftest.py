"""Small sources of images with captions: a local folder, zip archives and webdataset shards."""

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from overtop.config.sources import FileSource, FolderSource
from overtop.datasets.raw import FetchContext


@dataclass(frozen=True)
class SourceFiles:
    """Creates sources in a mirror, and in a data folder as files that were placed by hand.

    Attributes:
        mirror: the mirror.
        data: the data folder.
    """

    mirror: Path
    data: Path

    def raw(self, split: str = "test") -> Path:
        """The raw folder of a split."""
        return self.data / "raw" / "x" / split

    def context(self, **sources) -> FetchContext:
        """A context with these sources."""
        return FetchContext(str(self.mirror), 0, self.data, sources)

    def add_file(self, name: str, file: str, content: bytes) -> FileSource:
        """Write a source that is one file."""
        path = self.data / "downloads" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return FileSource(kind="file", addresses=[], file=file, licence="none")

    def add_zip(self, name: str, members: Mapping[str, bytes]) -> FileSource:
        """Write a source that is a zip archive."""
        return self.add_file(name, f"{name}.zip", zip_bytes(members))

    def add_shards(self, name: str, split: str, shards: Sequence[Mapping[str, bytes]]) -> FolderSource:
        """Write a source of webdataset shards."""
        folder = self.mirror / name / split
        folder.mkdir(parents=True)
        (folder / "nshards.txt").write_text(f"{len(shards)}\n")
        for number, members in enumerate(shards):
            (folder / f"{number}.tar").write_bytes(tar_bytes(members))
        return FolderSource(kind="folder", path=name)

    def add_folder(self, name: str, entries: Sequence[Mapping], annotations: str = "captions.jsonl") -> Path:
        """Write a folder with annotations and images."""
        folder = self.mirror / name
        for entry in entries:
            image = folder / "images" / entry.get("filepath", "") / entry["filename"]
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(b"jpeg of " + entry["filename"].encode())
        is_json_lines = annotations.endswith("l")
        lines = "\n".join(map(json.dumps, entries)) if is_json_lines else json.dumps({"images": entries})
        (folder / annotations).write_text(lines)
        return folder


def zip_bytes(members: Mapping[str, bytes]) -> bytes:
    """The content of a zip archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def tar_bytes(members: Mapping[str, bytes]) -> bytes:
    """The content of a tar archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


@pytest.fixture
def source_files(tmp_path: Path) -> SourceFiles:
    (tmp_path / "mirror").mkdir()
    return SourceFiles(tmp_path / "mirror", tmp_path / "data")
