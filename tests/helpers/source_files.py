"""Small sources of images with captions: a local folder, zip archives and webdataset shards."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from overtop.config.datasets import ClassesDataset
from overtop.config.sources import FileSource, FolderSource
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import fetch_split, read_raw_split
from overtop.storage.split import Split


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

    def fetch_classes(self, files: Mapping, split: str = "test", sources: Mapping | None = None, **keys) -> Split:
        """Fetch and read a split of the data set of classes `x`."""
        spec = ClassesDataset(kind="classes", files=files, **keys)
        fetch_split("x", spec, split, self.raw(split), self.context(**(sources or {})))
        return read_raw_split("x", spec, self.raw(split), self.data, split)

    def add_file(self, name: str, file: str, content: bytes) -> FileSource:
        """Write a source that is one file."""
        path = self.data / "downloads" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return FileSource(kind="file", addresses=[], file=file, licence="none")

    def add_tree(self, form: str, members: Mapping[str, bytes]) -> tuple[dict[str, str], dict[str, FileSource]]:
        """Write files as a `folder`, a `zip`, `tar` or `tar.gz` archive: the keys that name it, and its sources."""
        if form == "folder":
            for name, content in members.items():
                (self.mirror / "set" / name).parent.mkdir(parents=True, exist_ok=True)
                (self.mirror / "set" / name).write_bytes(content)
            return {"source": "set"}, {}
        content = zip_bytes(members) if form == "zip" else tar_bytes(members)
        content = gzip.compress(content) if form == "tar.gz" else content
        return {"download": "set"}, {"set": self.add_file("set", f"set.{form}", content)}

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
