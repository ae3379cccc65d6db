"""Every reader of files that others made, with a valid input of a few kilobytes."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from helpers.saved_datasets import image_table, save_on_hub, save_to_disk
from overtop.cli.labels import read_groups, read_labels
from overtop.config.datasets import ClassesDataset, HuggingFaceDataset, KarpathyDataset, TableDataset
from overtop.datasets.annotations import Record
from overtop.datasets.archives import extract_images, read_member
from overtop.datasets.class_coco import parse_instances
from overtop.datasets.embeddings import load_embeddings
from overtop.datasets.judgments import read_judgments
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import fetch_split, read_raw_split
from overtop.datasets.texts import read_texts
from overtop.downloads.lock import read_lock_row
from overtop.storage.embedding_files import open_embeddings
from overtop.storage.shards import write_shard
from overtop.storage.split import Split, write_split

RNG = np.random.default_rng(0)
IMAGE, TEXT = (RNG.normal(size=shape).astype(np.float32) for shape in ((3, 4), (5, 4)))
OWNERS = np.array([0, 0, 1, 2, 2])
NAMES = ("a.jpg", "b.jpg", "c.jpg")
CAPTIONS = ["a dog", "two, dogs", 'a "cat"', "ein Ölfaß", "NA"]


@dataclass(frozen=True)
class Reader:
    """A reader and a valid input.

    Attributes:
        files: content by path inside the input folder.
        read: reads the input folder, and may write into the output folder.
        verified: whether the formats have checksums, so that what is accepted must be the original's content. Of a
            text without one, such as CSV, any valid text is as good as any other.
        damaged: the files that are damaged; by default all.
    """

    files: Mapping[str, bytes]
    read: Callable[[Path, Path], Any]
    verified: bool = False
    damaged: tuple[str, ...] = ()


def make_readers(scratch: Path) -> dict[str, Reader]:
    """Return the readers by name.

    Args:
        scratch: an empty folder for files that only libraries can write.
    """
    return {**_array_readers(scratch), **_text_readers(), **_archive_readers(), **_saved_readers(scratch / "saved")}


def _array_readers(scratch: Path) -> dict[str, Reader]:
    npz = _bytes_of(
        lambda file: np.savez_compressed(
            file,
            image=IMAGE,
            text=TEXT,
            image_of_caption=OWNERS,
            filenames=np.array(NAMES),
            captions=np.array(CAPTIONS),
        )
    )
    split = Split(list(NAMES), [""] * 3, [f"c{row}" for row in range(5)], CAPTIONS, OWNERS)
    write_split(scratch / "split.parquet", split)
    provenance = {"encoder": {"name": "x"}, "shard": 0, "shards": 1}
    write_shard(scratch / "image.h5", IMAGE[None], split.image_ids, np.ones(3, bool), provenance)
    write_shard(scratch / "text.h5", TEXT[None], split.caption_ids, np.ones(5, bool), provenance)
    shards = {path.name: path.read_bytes() for path in sorted(scratch.iterdir()) if not path.name.startswith(".")}
    metadata = pd.DataFrame({"image_path": [NAMES[row] for row in OWNERS], "caption": CAPTIONS})
    clip_retrieval = {
        "img_emb/img_emb_0.npy": _bytes_of(lambda file: np.save(file, IMAGE[OWNERS])),
        "text_emb/text_emb_0.npy": _bytes_of(lambda file: np.save(file, TEXT)),
        "metadata/metadata_0.parquet": _parquet(metadata),
    }
    lists = pd.DataFrame({"image_embedding": list(IMAGE), "text_embedding": list(TEXT[:3]), "image": NAMES})
    npy = _bytes_of(lambda file: np.save(file, IMAGE))
    return {
        "embeddings: npz": Reader({"e.npz": npz}, lambda source, _: imported(source), verified=True),
        "embeddings: parquet": Reader({"e.parquet": _parquet(lists)}, lambda source, _: imported(source)),
        "embeddings: clip-retrieval": Reader(clip_retrieval, lambda source, _: imported(source)),
        "embeddings: shards": Reader(shards, lambda source, _: imported(source), verified=True),
        "search: npz": Reader({"e.npz": npz}, lambda source, _: opened(source / "e.npz"), verified=True),
        "search: npy": Reader({"e.npy": npy}, lambda source, _: opened(source / "e.npy")),
        "search: clip-retrieval": Reader(clip_retrieval, lambda source, _: opened(source)),
        "search: shard": Reader(
            {"image.h5": shards["image.h5"]}, lambda source, _: opened(source / "image.h5"), verified=True
        ),
    }


def _text_readers() -> dict[str, Reader]:
    entries = [
        {"filename": name, "filepath": "", "split": "test", "cocoid": row, "sentences": [{"raw": "x", "sentid": row}]}
        for row, name in enumerate(NAMES)
    ]
    lines = [{"filename": name, "captions": ["one", "two"], "split": "test"} for name in NAMES]
    table = pd.DataFrame(
        {
            "image": [NAMES[row] for row in OWNERS],
            "caption": CAPTIONS,
            "split": ["test"] * 5,
            "caption_id": list("vwxyz"),
            "positives": ["a.jpg|b.jpg", "", "", "", ""],
        }
    )
    labels = pd.DataFrame({"image": NAMES, "class": ["dog", "cat", "dog"], "split": ["test", "test", "train"]})
    texts = pd.DataFrame({"id": [1, 2], "text": ["a dog", "red, blue"]})
    pictures = {f"images/{name}": b"jpeg" for name in NAMES}
    beside = {name: b"jpeg" for name in NAMES}
    digest = "0" * 64
    karpathy = {"kind": "karpathy", "source": ".", "images": "images", "captions_per_image": "all"}

    def annotated(name: str, content: bytes, verified: bool = False) -> Reader:
        return _fetched(KarpathyDataset(annotations=name, **karpathy), {name: content}, pictures, verified)

    def tabulated(name: str, content: bytes) -> Reader:
        return _fetched(TableDataset(kind="table", source=".", table=name), {name: content}, beside)

    return {
        "annotations: json": annotated("d.json", _json({"images": entries})),
        "annotations: jsonl": annotated("d.jsonl", b"\n".join(map(_json, lines))),
        "annotations: gzip": annotated("d.json.gz", gzip.compress(_json({"images": entries})), verified=True),
        "table: csv": tabulated("t.csv", _csv(table)),
        "table: parquet": tabulated("t.parquet", _parquet(table)),
        "classes: csv": _fetched(_classes(layout="table", source=".", table="l.csv"), {"l.csv": _csv(labels)}, beside),
        "texts: csv": Reader({"q.csv": _csv(texts)}, lambda source, _: read_texts(source / "q.csv")),
        "texts: parquet": Reader({"q.parquet": _parquet(texts)}, lambda source, _: read_texts(source / "q.parquet")),
        "texts: lines": Reader({"q.txt": b"a dog\na cat\n"}, lambda source, _: read_texts(source / "q.txt")),
        "labels: csv": Reader({"l.csv": b"query,relevant\n1,a\n2,\n"}, lambda source, _: _labels(source / "l.csv")),
        "labels: tsv": Reader({"l.tsv": b"item\tgroup\na\tx\nb\ty\n"}, lambda source, _: _groups(source / "l.tsv")),
        "labels: parquet": Reader(
            {"l.parquet": _parquet(pd.DataFrame({"item": ["a", "b"], "group": [1.0, None]}))},
            lambda source, _: _groups(source / "l.parquet"),
        ),
        "judgments": Reader(
            {"r.txt": b"a.jpg\tc0\t1\t2\t3\nb.jpg\tc2\t4\t4\t4\n"}, lambda source, _: _judgments(source / "r.txt")
        ),
        "lock table": Reader(
            {"lock.csv": f"name,file,bytes,sha256\ncoco,a.zip,7,{digest}\n".encode()},
            lambda source, _: read_lock_row(source / "lock.csv", "coco", "a.zip"),
        ),
        "coco instances": Reader(
            {
                "i.json": _json(
                    {
                        "categories": [{"id": 7, "name": "dog"}, {"id": 2, "name": "cat"}],
                        "images": [{"id": 1, "file_name": "a.jpg"}],
                        "annotations": [{"image_id": 1, "category_id": 7}],
                    }
                )
            },
            lambda source, _: parse_instances("i.json", (source / "i.json").read_bytes()),
        ),
    }


def _saved_readers(scratch: Path) -> dict[str, Reader]:
    pictures = {name: name.encode() * 20 for name in NAMES}
    table = image_table(list(pictures.values()), [["a dog", "two"], ["x"], []], list(NAMES))
    save_to_disk(scratch / "disk", table)
    save_on_hub(scratch / "hub", {"train": table})
    rows = [{"file_name": name, "text": ["x", "y"]} for name in NAMES]
    spec = HuggingFaceDataset(kind="huggingface", source=".")

    def files_in(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))}

    return {
        "saved: disk": _fetched(spec, files_in(scratch / "disk"), {}),
        "saved: hub": _fetched(spec, files_in(scratch / "hub"), {}),
        "image folder: jsonl": _fetched(spec, {"metadata.jsonl": b"\n".join(map(_json, rows))}, pictures),
    }


def _archive_readers() -> dict[str, Reader]:
    picture = bytes(range(256)) * 4
    shard = {"s.jpg": picture, "s.cls": b"0", "t.jpg": picture[::-1], "t.cls": b"1"}
    folders = {"test/cat/a.jpg": picture, "test/dog/b.jpg": picture[::-1], "words.txt": b"cat\tcat, feline\ndog\tdog\n"}
    members = {"val/a.jpg": picture, "val/b.jpg": picture[::-1], "d.json": b"{}"}
    records = [Record("a.jpg", ("x",)), Record("b.jpg", ("x",))]

    def read_zip(source: Path, out: Path) -> Any:
        found = extract_images(source / "a.zip", records, out)
        return sorted(found), read_member(source / "a.zip", "d.json"), _contents(out)

    def folder_reader(name: str, content: bytes, verified: bool) -> Reader:
        files = {"layout": "folders", "source": name, "splits": {"test": "test"}, "names": "words.txt"}
        return _fetched(_classes(**files), {name: content}, {}, verified)

    return {
        "shards: tar": _fetched(
            _classes(layout="shards", source="."),
            {"test/nshards.txt": b"1\n", "test/0.tar": tar_bytes(shard), "classnames.txt": b"cat\ndog\n"},
            {},
        ),
        "archive: zip": Reader({"a.zip": zip_bytes(members)}, read_zip, verified=True),
        "tree: zip": folder_reader("set.zip", zip_bytes(folders), True),
        "tree: tar": folder_reader("set.tar", tar_bytes(folders), False),
        "tree: tar.gz": folder_reader("set.tar.gz", gzip.compress(tar_bytes(folders)), True),
        "tree: tar.xz": folder_reader("set.tar.xz", _compressed_tar(folders, "xz"), True),
    }


def zip_bytes(members: Mapping[str, bytes]) -> bytes:
    """Return the content of a compressed zip archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def tar_bytes(members: Mapping[str, bytes]) -> bytes:
    """Return the content of a tar archive."""
    return _compressed_tar(members, "")


def _compressed_tar(members: Mapping[str, bytes], compression: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=f"w:{compression}") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def _fetched(spec: Any, files: dict[str, bytes], others: dict[str, bytes], verified: bool = False) -> Reader:
    """A reader that fetches and reads the split `test` of a data set whose source is the input folder."""

    def read(source: Path, out: Path) -> Any:
        raw = out / "raw" / "x" / "test"
        fetch_split("x", spec, "test", raw, FetchContext(str(source), 0, out, {}))
        split = read_raw_split("x", spec, raw, out, "test")
        pictures = [(out / path).read_bytes() for path in split.image_paths]
        return split.image_ids, split.captions, split.image_of_caption.tolist(), pictures

    return Reader({**files, **others}, read, verified, tuple(files))


def _classes(**files: Any) -> ClassesDataset:
    return ClassesDataset(kind="classes", files=files)


def imported(folder: Path) -> Any:
    """Return what is in the embeddings of a folder."""
    imported = load_embeddings(folder)
    split = imported.split
    return split.image_ids, split.captions, imported.image.tolist(), imported.text.tolist()


def opened(path: Path) -> Any:
    """Return what is in embeddings that are opened for a search."""
    source = open_embeddings(path, modality="image")
    return list(source.item_ids), [
        source.read(sample, 0, source.n_items).tolist() for sample in range(source.n_samples)
    ]


def _labels(path: Path) -> Any:
    table = read_labels(path)
    return table.relevant, table.find_items(["a", "b"], "gallery")


def _groups(path: Path) -> Any:
    return read_groups(path, ["a", "b"], "gallery")


def _judgments(path: Path) -> Any:
    split = Split(list(NAMES), [""] * 3, [f"c{row}" for row in range(5)], CAPTIONS, OWNERS)
    return read_judgments({"expert": path}, split).to_dict("list")


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def _parquet(frame: pd.DataFrame) -> bytes:
    return _bytes_of(lambda file: pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), file))


def _bytes_of(write: Callable[[io.BytesIO], Any]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()
