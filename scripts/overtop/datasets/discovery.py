"""What a folder or a file of a user contains, and the entry of `datasets` that reads it."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from overtop.config.dataset_base import ALL_IMAGES
from overtop.config.datasets import Columns
from overtop.datasets.annotations import parse_split
from overtop.datasets.discovered_tables import SUFFIXES, find_table
from overtop.datasets.embeddings import load_embeddings
from overtop.datasets.found import Found, describe_captions
from overtop.datasets.huggingface_files import METADATA_FILES, find_splits
from overtop.datasets.images import list_images
from overtop.datasets.parquet_embeddings import COLUMN_OF
from overtop.datasets.texts import SUFFIXES as TEXT_SUFFIXES
from overtop.errors import OvertopError
from overtop.labels import format_count
from overtop.storage.arrow_files import batch_columns
from overtop.storage.foreign import read_bytes, read_text

LOOKED_FOR = (
    "images with captions.csv (or .tsv, .parquet), a folder of images for each class, labels.csv, images alone, "
    "embeddings (.npz, .parquet, folders of clip-retrieval), a folder of Hugging Face's save_to_disk, metadata.csv or "
    ".jsonl beside images, captions.jsonl"
)

_FIRST_ROWS = 1000
"""Rows of a split that are looked at, where the images are inside of large files."""

_SPLIT_FOLDERS = ("train", "val", "test")


def discover(path: Path) -> Found:
    """Recognise a data set.

    Args:
        path: a folder, or one file: embeddings, or a table beside its images. It is written into the entry as it is.

    Raises:
        OvertopError: nothing is recognised, or what is recognised is not valid.
    """
    if not path.exists():
        raise OvertopError(f"{path}: no such file or folder; correct the path")
    if path.is_file():
        found = _find_in_file(path)
    else:
        finders: Sequence[Callable[[Path], Found | None]] = (
            _find_embeddings,
            _find_saved,
            find_table,
            _find_annotations,
            _find_class_shards,
            _find_classes,
            _find_images,
        )
        found = next((found for find in finders if (found := find(path)) is not None), None)
    if found is None:
        raise OvertopError(f"{path}: nothing was recognised; looked for {LOOKED_FOR}")
    return found


def find_queries(folder: Path) -> Path | None:
    """The file `queries` with texts or embeddings in a folder, if there is one."""
    files = (folder / f"queries{suffix}" for suffix in (*TEXT_SUFFIXES, ".npy"))
    return next((file for file in files if file.is_file()), None)


def _find_in_file(path: Path) -> Found | None:
    if path.suffix == ".npz" or (path.suffix == ".parquet" and _has_embeddings(path)):
        return _found_embeddings({ALL_IMAGES: path})
    return find_table(path.parent, [path]) if path.suffix.lower() in SUFFIXES else None


def _has_embeddings(path: Path) -> bool:
    return set(COLUMN_OF.values()) <= set(batch_columns(path))


def _find_embeddings(folder: Path) -> Found | None:
    """Folders of one split, or files named after their splits."""
    if (folder / "img_emb").is_dir() or (folder / "image.h5").is_file():
        return _found_embeddings({ALL_IMAGES: folder})
    files = sorted(folder.glob("*.npz")) or [path for path in sorted(folder.glob("*.parquet")) if _has_embeddings(path)]
    if len(files) < 2:
        return _found_embeddings({ALL_IMAGES: files[0]}) if files else None
    splits = {name: [path for path in files if name in path.stem.lower()] for name in _SPLIT_FOLDERS}
    if any(len(paths) > 1 for paths in splits.values()) or not splits[ALL_IMAGES]:
        names = ", ".join(path.name for path in files)
        raise OvertopError(
            f"{folder}: has {names}; keep one file whose name contains 'test', one with 'val' and one with 'train', or "
            "name one file"
        )
    return _found_embeddings({name: paths[0] for name, paths in splits.items() if paths})


def _found_embeddings(paths: dict[str, Path]) -> Found:
    facts, n_images = [], 0
    for split, path in paths.items():
        imported = load_embeddings(path)
        numbers = Counter(imported.split.image_of_caption.tolist())
        n_images = len(imported.split.image_ids)
        pairs = f"{format_count(n_images, 'image')}, {describe_captions([numbers[row] for row in range(n_images)])}"
        samples, _, dimensions = imported.image.shape
        facts.append(
            f"{path.name} ({split}): {pairs}; {dimensions} dimensions, {format_count(samples, 'sample')} of each"
        )
        for array, noun in ((imported.image, "image"), (imported.text, "caption")):
            with np.errstate(over="ignore"):
                bad = ~(np.isfinite(array).all(axis=(0, 2)) & array.any(axis=2).all(axis=0))
            if bad.any():
                facts.append(f"{format_count(int(bad.sum()), noun)} with an embedding that is zero or not finite")
    entry: dict[str, Any] = {"kind": "embeddings", "splits": {name: str(path) for name, path in paths.items()}}
    if len(facts) > len(paths):
        entry["on_error"] = "skip"
    return Found("embeddings", entry, facts, n_images, [] if [*paths] == [ALL_IMAGES] else [*paths])


def _find_saved(folder: Path) -> Found | None:
    """A folder of Hugging Face's library."""
    is_saved = any((folder / name).is_file() for name in ("state.json", "dataset_dict.json"))
    if not is_saved and not any(next(folder.rglob(name), None) for name in (*METADATA_FILES, "*-of-[0-9]*.parquet")):
        return None
    splits = find_splits(folder, Columns())
    facts, n_images = [], 0
    for name, images in splits.items():
        first = list(islice(images(), _FIRST_ROWS))
        n_images = len(first)
        more = f", of the first {_FIRST_ROWS:,} rows" if n_images == _FIRST_ROWS else ""
        facts.append(
            f"{name}: {format_count(n_images, 'row')} with an image, "
            f"{describe_captions([len(image.captions) for image in first])}{more}"
        )
    entry = {"kind": "huggingface", "source": str(folder)}
    return Found("captions", entry, facts, n_images, sorted(splits) if len(splits) > 1 else [])


def _find_annotations(folder: Path) -> Found | None:
    """Records of images and captions as JSON lines, as in Karpathy's splits."""
    path = folder / "captions.jsonl"
    if not path.is_file() or not (folder / "images").is_dir():
        return None
    content, splits, facts, files = read_bytes(path), [], [], []
    for split in _SPLIT_FOLDERS:
        try:
            records = parse_split(str(path), content, split)
        except OvertopError:
            continue
        splits.append(split)
        numbers = [len(record.captions) for record in records]
        facts.append(f"{split}: {format_count(len(records), 'image')}, {describe_captions(numbers)}")
        files = [folder / "images" / record.filename for record in records]
    if not splits:
        return None
    missing = [file for file in files if not file.is_file()]
    if missing:
        facts.append(f"{format_count(len(missing), 'image')} of split {splits[-1]} missing, such as {missing[0].name}")
    entry: dict[str, Any] = {"kind": "karpathy", "source": str(folder), "captions_per_image": "all"}
    return Found("captions", entry, facts, len(files), splits, files)


def _find_class_shards(folder: Path) -> Found | None:
    """webdataset shards with the names of the classes, as in the repositories of CLIP_benchmark."""
    splits = sorted(path.parent.name for path in folder.glob("*/nshards.txt"))
    if not splits or not (folder / "classnames.txt").is_file():
        return None
    n_classes = len(read_text(folder / "classnames.txt").split("\n")) - 1
    files = {"layout": "shards", "source": str(folder), "splits": {name: name for name in splits}}
    facts = [f"webdataset shards of {', '.join(splits)}, with {n_classes} classes"]
    return Found("classes", {"kind": "classes", "files": files}, facts, 0, splits)


def _find_classes(folder: Path) -> Found | None:
    """A folder per class, perhaps in a folder per split."""
    images, _ = list_images(folder)
    names = [image.split("/") for image in images]
    splits = sorted({parts[0] for parts in names} & set(_SPLIT_FOLDERS))
    depth = 1 if splits and all(parts[0] in splits for parts in names) else 0
    classes = Counter(parts[depth] for parts in names if len(parts) > depth + 1)
    if len(classes) < 2 or sum(classes.values()) < len(images):
        return None
    files: dict[str, Any] = {"layout": "folders", "source": str(folder)}
    if depth:
        files["splits"] = {name: name for name in splits}
    facts = [
        f"{format_count(len(images), 'image')} in {len(classes)} folders, taken as classes, {min(classes.values())} to "
        f"{max(classes.values())} images each. If they are no classes, write captions.csv"
    ]
    paths = [folder / image for image in images]
    return Found("classes", {"kind": "classes", "files": files}, facts, len(images), splits if depth else [], paths)


def _find_images(folder: Path) -> Found | None:
    """Images alone."""
    images, _ = list_images(folder)
    entry = {"kind": "images", "source": str(folder)}
    paths = [folder / image for image in images]
    return Found("images", entry, [format_count(len(images), "image")], len(images), [], paths) if images else None
