"""Sources of photographs in a test's own folder: real archives and shards, tiny."""

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from overtop.config.sources import FileSource, FolderSource
from overtop.datasets.raw import Context


@dataclass(frozen=True)
class Place:
    """A mirror, a data folder, and sources that lie there as if a user had put them there by hand."""

    mirror: Path
    data: Path

    def raw(self, split: str = "test") -> Path:
        return self.data / "raw" / "x" / split

    def context(self, **sources) -> Context:
        return Context(str(self.mirror), 0, self.data, sources)

    def file(self, name: str, file: str, content: bytes) -> FileSource:
        path = self.data / "downloads" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return FileSource(kind="file", addresses=[], file=file, licence="none")

    def zip(self, name: str, members: Mapping[str, bytes]) -> FileSource:
        return self.file(name, f"{name}.zip", zipped(members))

    def shards(self, name: str, split: str, shards: Sequence[Mapping[str, bytes]]) -> FolderSource:
        folder = self.mirror / name / split
        folder.mkdir(parents=True)
        (folder / "nshards.txt").write_text(f"{len(shards)}\n")
        for number, members in enumerate(shards):
            (folder / f"{number}.tar").write_bytes(tarred(members))
        return FolderSource(kind="folder", path=name)

    def folder(self, name: str, entries: Sequence[Mapping], annotations: str = "captions.jsonl") -> Path:
        """A folder of ours: annotations and images."""
        place = self.mirror / name
        for entry in entries:
            image = place / "images" / entry.get("filepath", "") / entry["filename"]
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(b"jpeg of " + entry["filename"].encode())
        lines = "\n".join(map(json.dumps, entries)) if annotations.endswith("l") else json.dumps({"images": entries})
        (place / annotations).write_text(lines)
        return place


def zipped(members: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def tarred(members: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "mirror").mkdir()
    return Place(tmp_path / "mirror", tmp_path / "data")
