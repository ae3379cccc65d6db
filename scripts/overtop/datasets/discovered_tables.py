"""Tables of captions or classes in a folder: which one, which of its columns, and where its images are."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from overtop.datasets.columns import USUAL_NAMES
from overtop.datasets.found import Found, describe_captions
from overtop.datasets.images import list_images
from overtop.errors import OvertopError
from overtop.labels import format_count
from overtop.storage.foreign_tables import column_names, read_columns

SUFFIXES = (".csv", ".tsv", ".parquet", ".txt")

SAMPLE = 200
"""Names of a column that are looked up in the folder."""

FITS = 0.5
"""Share of the names of a column that are files, at least, in a column of images."""

NAMED = 3
"""Files that a line names."""


@dataclass(frozen=True)
class _Candidate:
    """A table whose column of images is known."""

    path: Path
    names: Sequence[str]
    image: str
    images: str
    share: float


def find_table(folder: Path, files: Sequence[Path] | None = None) -> Found | None:
    """The table of captions or classes in a folder that fits its images best; None if there is none.

    Args:
        folder: the folder.
        files: the tables that may be meant; by default all in it.

    Raises:
        OvertopError: there are tables of images, but no image is where they say.
    """
    tables = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES) if files is None else files
    candidates = [candidate for path in tables for candidate in _look_at(folder, path)]
    if not candidates:
        return None
    best = max(candidates, key=lambda candidate: (candidate.share, candidate.path.stem == "captions"))
    if best.share < FITS:
        example = read_columns(best.path, [best.image])[best.image].iloc[0]
        raise OvertopError(
            f"{best.path}: {100 * (1 - best.share):.0f} % of its images are missing, such as {example!r}; write paths "
            f"relative to {folder}, with their suffixes"
        )
    label = _usual_column(best.names, "class")
    caption = _usual_column(best.names, "caption") or (None if label else _longest_texts(best))
    if caption is not None:
        return _found_captions(folder, best, caption)
    return _found_classes(folder, best) if label is not None else None


def _look_at(folder: Path, path: Path) -> Iterator[_Candidate]:
    """A table with the column, and the folder of images, that fit best."""
    try:
        names = column_names(path)
        usual = _usual_column(names, "image")
        columns = [usual] if usual else [name for name in dict.fromkeys(names) if name]
        values = {name: read_columns(path, [name])[name] for name in columns}
    except OvertopError:
        return  # no table, such as a file of queries
    folders = [".", *sorted(item.name for item in folder.iterdir() if item.is_dir() and not item.name.startswith("."))]
    places = [(name, images) for name in columns for images in folders]
    shares = [_share_of_files(folder / images, values[name]) for name, images in places]
    share = max(shares, default=0.0)
    image, images = places[shares.index(share)] if places else ("", ".")
    if share >= FITS or (usual is not None and _usual_column(names, "caption")):
        yield _Candidate(path, names, image, images, share)


def _share_of_files(folder: Path, names: pd.Series) -> float:
    """The share of a sample of the names that are files of the folder."""
    sample = list(dict.fromkeys(name for name in names if name))
    sample = sample[:: max(len(sample) // SAMPLE, 1)]
    return float(np.mean([_is_file(folder, name) for name in sample])) if sample else 0.0


def _is_file(folder: Path, name: str) -> bool:
    try:
        return (folder / name).is_file() and not Path(name).is_absolute()
    except (OSError, ValueError):  # a text that is no path
        return False


def _usual_column(names: Sequence[str], role: str) -> str | None:
    return next((name for name in USUAL_NAMES[role] if name in names), None)


def _longest_texts(candidate: _Candidate) -> str | None:
    """The column with the longest texts, other than that of the images."""
    others = [name for name in candidate.names if name not in (candidate.image, "split", "")]
    lengths = {name: read_columns(candidate.path, [name])[name].str.len().mean() for name in others}
    return max(lengths, key=lambda name: lengths[name], default=None)


def _found_captions(folder: Path, table: _Candidate, caption: str) -> Found:
    has_split = "split" in table.names
    rows = read_columns(table.path, [table.image, caption, *(["split"] if has_split else [])])
    names, has_caption = rows[table.image], rows[caption].str.strip() != ""
    numbers = Counter(names[has_caption & (names != "")])
    images = [name for name in dict.fromkeys(names) if name]
    entry: dict[str, Any] = {"kind": "table", "source": str(folder)}
    if table.path.name != "captions.csv":
        entry["table"] = table.path.name
    if table.images != ".":
        entry["images"] = table.images
    given = {"image": table.image, "caption": caption}
    if columns := {role: name for role, name in given.items() if name != _usual_column(table.names, role)}:
        entry["columns"] = columns
    guessed = " (guessed: correct `columns` if it is not so)" if columns else ""
    facts = [
        f"{table.path.name}: images are in column {table.image!r}, captions in {caption!r}{guessed}",
        f"{format_count(len(images), 'image')}, {describe_captions([numbers[name] for name in images])}",
    ]
    unknown = int((has_caption & (names == "")).sum())
    if unknown:
        facts.append(f"{format_count(unknown, 'caption')} whose image is unknown")
    base = folder / table.images
    facts += _compare_with_files(base, images)
    files = [base / name for name in images if _is_file(base, name)]
    return Found("captions", entry, facts, len(images), _splits(rows), files)


def _splits(rows: pd.DataFrame) -> list[str]:
    return sorted(set(rows["split"]) - {""}) if "split" in rows else []


def _compare_with_files(folder: Path, images: Sequence[str]) -> Iterator[str]:
    """Lines on images that are missing, and on those that the table does not name."""
    missing = [name for name in images if not _is_file(folder, name)]
    if missing:
        some = ", ".join(missing[:NAMED])
        yield f"{format_count(len(missing), 'image')} of the table missing: {some}; remove their rows, or add the files"
    others = sorted(set(list_images(folder)[0]) - {Path(name).as_posix() for name in images})
    if others:
        some = ", ".join(others[:NAMED])
        yield (
            f"{format_count(len(others), 'image')} not in the table, so not in the gallery: {some}; to search in them, "
            "add rows with an empty caption"
        )


def _found_classes(folder: Path, table: _Candidate) -> Found:
    label = _usual_column(table.names, "class")
    rows = read_columns(table.path, [table.image, str(label), *(["split"] if "split" in table.names else [])])
    images = list(dict.fromkeys(rows[table.image]))
    if table.images != ".":
        raise OvertopError(
            f"{table.path}: its images are in {folder / table.images}; move it there, or write paths from {folder}"
        )
    files = {"layout": "table", "source": str(folder)}
    if table.path.name != "labels.csv":
        files["table"] = table.path.name
    facts = [
        f"{table.path.name}: images are in column {table.image!r}, classes in {label!r}",
        f"{format_count(len(images), 'image')} of {format_count(rows[label].nunique(), 'class')}",
        *_compare_with_files(folder, images),
    ]
    paths = [folder / name for name in images if _is_file(folder, name)]
    return Found("classes", {"kind": "classes", "files": files}, facts, len(images), _splits(rows), paths)
