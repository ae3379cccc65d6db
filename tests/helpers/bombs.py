"""Small files that expand to, or claim, more than any machine has, and pickles that would run code."""

import gzip
import io
import pickle
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from helpers.reader_inputs import NAMES, Reader, imported, opened, zip_bytes
from overtop.cli.labels import read_labels
from overtop.datasets.annotations import parse_split
from overtop.datasets.archives import read_member
from overtop.datasets.judgments import read_judgments
from overtop.datasets.trees import open_tree
from overtop.datasets.webdataset import count_shards, read_samples
from overtop.encoders.image_files import decode_image
from overtop.pipeline.loading import load_config
from overtop.storage.arrays import atomic_hdf5
from overtop.storage.split import Split

MANY = 2**40


class Payload:
    """An object whose pickle starts a program when it is read."""

    def __reduce__(self) -> Any:
        return __import__("os").system, ("touch /tmp/overtop-pickle-was-executed",)


def make_bombs(scratch: Path) -> dict[str, Reader]:
    """Return the bombs by name, each with the reader that must name it.

    Args:
        scratch: an empty folder.
    """
    return {**_text_bombs(), **_array_bombs(scratch), **_archive_bombs(), **_image_bombs(), **_pickles()}


def _text_bombs() -> dict[str, Reader]:
    zeros = gzip.compress(bytes(600 * 2**20), 1)
    lists: Any = "x"
    for _ in range(40):
        lists = [lists] * 10
    parse = {
        name: _content(name, lambda content, name=name: parse_split(name, content, "test"))
        for name in ("a.json", "a.json.gz")
    }
    split = Split(list(NAMES), [""] * 3, [], [], np.empty(0, np.int64))
    return {
        "json of 600 MB in a gzip": Reader({"a.json.gz": zeros}, parse["a.json.gz"]),
        "json nested 100,000 deep": Reader({"a.json": b"[" * 100_000}, parse["a.json"]),
        "judgments of 600 MB in a gzip": Reader(
            {"r.gz": zeros}, lambda source, _: read_judgments({"expert": source / "r.gz"}, split)
        ),
        "json of 600 MB in a zip": Reader(
            {"a.zip": zip_bytes({"d.json": bytes(600 * 2**20)})},
            lambda source, _: read_member(source / "a.zip", "d.json"),
        ),
        "number of shards with a million digits": Reader(
            {"n.txt": b"9" * 10**6}, lambda source, _: count_shards(source / "n.txt")
        ),
        "aliases of aliases in a configuration": Reader({}, lambda *_: load_config({"datasets": lists})),
        "configuration nested 5,000 deep": Reader({}, lambda *_: load_config({"datasets": _nested(5_000)})),
    }


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"x": value}
    return value


def _array_bombs(scratch: Path) -> dict[str, Reader]:
    def header(shape: tuple[int, ...]) -> bytes:
        content = io.BytesIO()
        np.lib.format.write_array_header_1_0(content, {"descr": "<f4", "fortran_order": False, "shape": shape})
        return content.getvalue()

    def shard(name: str, **layout: Any) -> bytes:
        with atomic_hdf5(scratch / name) as file:
            file.create_dataset("embedding", dtype="f4", **layout)
            file.attrs.update({"schema": np.bytes_("shard/1"), "attributes": np.bytes_("{}")})
        return (scratch / name).read_bytes()

    text = zip_bytes({"text.npy": header((3, 4)) + bytes(48), "image.npy": header((3, 4)) + bytes(2 * 2**30)})
    claim = zip_bytes({"text.npy": header((3, 4)) + bytes(48), "image.npy": header((MANY, 4)) + bytes(48)})
    words = pa.array(["x"]).dictionary_encode()
    tables = {
        "rows": pa.table({"query": words.take(pa.array(np.zeros(2**25 + 1, np.int32)))}),
        "text": pa.table({"query": ["x" * 2**30]}),
    }
    parquets = {name: _parquet(table.append_column("relevant", table["query"])) for name, table in tables.items()}
    return {
        "npz that claims 16 TB": Reader({"e.npz": claim}, lambda source, _: imported(source)),
        "npz of 2 GB of zeros": Reader({"e.npz": text}, lambda source, _: imported(source)),
        "npy that claims 16 TB": Reader(
            {"e.npy": header((MANY, 4)) + bytes(48)}, lambda source, _: opened(source / "e.npy")
        ),
        "shard that claims 4 TB": Reader(
            {"image.h5": shard("a.h5", shape=(1, MANY // 4, 4), chunks=(1, 1024, 4))},
            lambda source, _: opened(source / "image.h5"),
        ),
        "shard of 4 TB without chunks": Reader(
            {"image.h5": shard("b.h5", shape=(1, MANY // 4, 4))}, lambda source, _: opened(source / "image.h5")
        ),
        **{
            f"parquet of many equal {name}": Reader(
                {"l.parquet": content}, lambda source, _: read_labels(source / "l.parquet")
            )
            for name, content in parquets.items()
        },
    }


def _parquet(table: pa.Table) -> bytes:
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd", use_dictionary=["query"] if table.num_rows > 1 else False)
    return content.getvalue()


def _archive_bombs() -> dict[str, Reader]:
    samples = _content("0.tar", None, lambda path: list(read_samples(path, "txt")))
    tree = _content("a.tar.gz", None, _read_tree)
    sparse = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "s.jpg",
        "GNU.sparse.realsize": str(MANY),
    }
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 1536 * 2**20
    return {
        "sparse tar member of 1 TB": Reader(
            {"0.tar": _tar("s.jpg", b"1\n0\n512\n".ljust(512, b"\0"), sparse)}, samples
        ),
        "tar.gz member of 300 MB": Reader({"a.tar.gz": gzip.compress(_tar("s.jpg", bytes(300 * 2**20)), 1)}, tree),
        "tar.gz name of 1.5 GB": Reader({"a.tar.gz": gzip.compress(long_name.tobuf() + bytes(1536 * 2**20), 1)}, tree),
    }


def _image_bombs() -> dict[str, Reader]:
    def png(width: int, height: int) -> bytes:
        rows = zlib.compress(b"\0" * 2**20)
        header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + b"".join(map(_png_chunk, (b"IHDR", b"IDAT", b"IEND"), (header, rows, b"")))

    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    decode = _content("a.jpg", None, decode_image)
    return {
        "png of 40,000 x 40,000": Reader({"a.jpg": png(40_000, 40_000)}, decode),
        "png of 12,000 x 12,000": Reader({"a.jpg": png(12_000, 12_000)}, decode),
        "png of 1 x 1,000,000": Reader({"a.jpg": png(1, 1_000_000)}, decode),
        "eps with the name of a jpg": Reader({"a.jpg": eps}, decode),
    }


def _pickles() -> dict[str, Reader]:
    payload = np.array([Payload()], dtype=object)
    npz, npy = io.BytesIO(), io.BytesIO()
    np.savez(npz, image=payload, text=payload)
    np.save(npy, payload)
    plain = pickle.dumps(Payload())
    return {
        "pickle in an npz": Reader({"e.npz": npz.getvalue()}, lambda source, _: imported(source)),
        "pickle named npz": Reader({"e.npz": plain}, lambda source, _: imported(source)),
        "pickle in an npy": Reader({"e.npy": npy.getvalue()}, lambda source, _: opened(source / "e.npy")),
        "pickle named npy": Reader({"e.npy": plain}, lambda source, _: opened(source / "e.npy")),
    }


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _tar(name: str, data: bytes, headers: dict[str, str] | None = None) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.size, member.pax_headers = len(data), headers or {}
        archive.addfile(member, io.BytesIO(data))
        archive.addfile(tarfile.TarInfo(name.replace(".jpg", ".txt")), io.BytesIO(b""))
    return content.getvalue()


def _read_tree(path: Path) -> list[bytes]:
    with open_tree(path) as tree:
        return [tree.read(name) for name in tree.names]


def _content(
    name: str, parse: Callable[[bytes], Any] | None, read: Callable[[Path], Any] | None = None
) -> Callable[[Path, Path], Any]:
    """A reader of one file, by its path or its content."""

    def run(source: Path, _: Path) -> Any:
        return read(source / name) if read is not None else parse((source / name).read_bytes()) if parse else None

    return run
