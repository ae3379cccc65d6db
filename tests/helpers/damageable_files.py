"""Small valid files of every kind, and what the library reads in each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.fault_writers import WRITERS
from overtop.config.datasets import ShapesDataset
from overtop.config.sources import FileSource
from overtop.datasets.restore import ensure_raw
from overtop.datasets.source_records import FetchRequest, list_files, write_source_record
from overtop.downloads.digests import Digest
from overtop.downloads.fetch import fetch_files
from overtop.downloads.lock import record_or_verify
from overtop.encoders.weights import METADATA_KEY, _make_record, locate_weights, write_weights_record
from overtop.retrieval.gallery_files import open_gallery
from overtop.storage.arrays import read_arrays
from overtop.storage.json_files import read_json
from overtop.storage.shards import ShardSource, read_provenance
from overtop.storage.split import read_split
from overtop.storage.tables import read_table, read_table_metadata
from overtop.storage.tensors import read_tensors


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        make: writes valid files into a folder.
        file: the one to damage, relative to the folder.
        read: reads what is in the folder.
        named: the file that an error is to name, by default the damaged one.
    """

    make: Callable[[Path], None]
    file: str
    read: Callable[[Path], Any]
    named: str = ""


def _written(writer: str) -> Callable[[Path], None]:
    return lambda folder: WRITERS[writer].write(folder, 0)


def read_shard(path: Path) -> Any:
    """All that a shard contains."""
    with ShardSource([[path]]) as source:
        rows = [source.read(sample, 0, source.n_items) for sample in range(source.n_samples)]
        return source.item_ids, rows, read_provenance(path)


def _read_gallery(folder: Path) -> Any:
    gallery = open_gallery(folder / "gallery")
    source = gallery.items.items.source
    return gallery.item_ids, gallery.fingerprint, [source.read(s, 0, source.n_items) for s in range(gallery.n_samples)]


def _fetch_shapes(folder: Path) -> None:
    spec = ShapesDataset(kind="shapes", images={"test": 6})
    request = FetchRequest(dataset="shapes", split="test", spec=spec, sources={}, seed=0)
    raw = request.raw_folder(folder)
    request.fetch(raw, folder, None)
    write_source_record(folder / "test.json", request, raw)


def _ensure_shapes(folder: Path) -> Any:
    ensure_raw(folder / "test.json", folder, None)
    raw = folder / "raw/shapes/test"
    return [(name, (raw / name).read_bytes()) for name in list_files(raw)]


def _download(folder: Path) -> None:
    (folder / "downloads/coco").mkdir(parents=True)
    (folder / "downloads/coco/images.zip").write_bytes(bytes(range(256)) * 20)
    _find_download(folder)


def _find_download(folder: Path) -> Any:
    source = FileSource(kind="file", addresses=[], file="images.zip", licence="")
    [path] = fetch_files("coco", source, [], folder, None)
    return path.read_bytes()


def _verify_downloads(folder: Path) -> None:
    """Compare the files of the lock table, which are as they were, with it."""
    for number in range(20):
        name = f"file {number}"
        record_or_verify(folder / "lock.csv", "coco", name, folder / name, Digest(len(name), "0" * 64))


def _record_weights(folder: Path) -> None:
    (folder / "model.bin").write_bytes(bytes(range(256)) * 20)
    (folder / "open_clip_config.json").write_text('{"preprocess_cfg": {"mean": [0.48, 0.46, 0.41], "std": [1, 1, 1]}}')
    write_weights_record(folder / "b32.json", _make_record(folder / "model.bin", folder, folder / CONFIG))


CONFIG = "open_clip_config.json"


def _locate_weights(folder: Path) -> Any:
    path, preprocessing = locate_weights("b32", folder / "b32.json", folder)
    return path.read_bytes(), preprocessing


KINDS = {
    "shard": Kind(_written("shard"), "image-0of1.h5", lambda folder: read_shard(folder / "image-0of1.h5")),
    "ranking": Kind(_written("arrays"), "ranking.h5", lambda folder: read_arrays(folder / "ranking.h5", "ranking/1")),
    "parquet": Kind(
        _written("parquet"),
        "scores.parquet",
        lambda folder: (read_table(folder / "scores.parquet"), read_table_metadata(folder / "scores.parquet")),
    ),
    "CSV": Kind(_written("CSV"), "table.csv", lambda folder: read_table(folder / "table.csv")),
    "digest of a CSV": Kind(
        _written("CSV"), ".table.csv.sha256", lambda folder: read_table(folder / "table.csv"), "table.csv"
    ),
    "JSON": Kind(_written("JSON"), "record.json", lambda folder: read_json(folder / "record.json")),
    "split": Kind(_written("split"), "test.parquet", lambda folder: read_split(folder / "test.parquet")),
    "adapters": Kind(
        _written("safetensors"),
        "adapter.safetensors",
        lambda folder: read_tensors(folder / "adapter.safetensors", "adapters/1"),
    ),
    "checkpoint": Kind(
        _written("checkpoint"),
        "encoder.safetensors",
        lambda folder: read_tensors(folder / "encoder.safetensors", METADATA_KEY),
    ),
    "facts of a gallery": Kind(_written("prepared gallery"), "gallery/gallery.json", _read_gallery),
    "items of a gallery": Kind(_written("prepared gallery"), "gallery/items.parquet", _read_gallery),
    "vectors of a gallery": Kind(_written("prepared gallery"), "gallery/sample-0.npy", _read_gallery),
    "raw image": Kind(_fetch_shapes, "raw/shapes/test/test-00003.png", _ensure_shapes),
    "record of raw files": Kind(_fetch_shapes, "test.json", _ensure_shapes),
    "downloaded archive": Kind(_download, "downloads/coco/images.zip", _find_download),
    "lock.csv": Kind(_written("lock.csv"), "lock.csv", _verify_downloads),
    "downloaded weights": Kind(_record_weights, "model.bin", _locate_weights),
    "record of weights": Kind(_record_weights, "b32.json", _locate_weights),
    "downloaded preprocessing": Kind(_record_weights, CONFIG, _locate_weights),
}
