"""Splits and images of a folder of Hugging Face's library `datasets`, in one of three forms.

- `dataset.save_to_disk`: `state.json` and Arrow files, or `dataset_dict.json` and a folder with these for each split;
- parquet files as on the hub, `SPLIT-00000-of-00001.parquet`, at any depth;
- an image folder: `metadata.csv`, `metadata.jsonl` or `metadata.parquet` with the column `file_name`, at any depth, and
  the images beside or below it. The first folder of an image is its split if it has the name of one.

An image is encoded (a struct of `bytes` and `path`, or bytes), and has one caption or a list of captions. Splits are
`train`, `val` (also called `validation`, `valid` or `dev`) and `test`; a data set with one split has the split `test`,
whatever its name. No script of the folder is run, and nothing outside of it is read.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from overtop.config.dataset_base import ALL_IMAGES
from overtop.config.datasets import Columns
from overtop.datasets.columns import find_columns
from overtop.errors import OvertopError
from overtop.storage.arrow_files import batch_columns, iterate_batches
from overtop.storage.bounds import MAX_IMAGE_BYTES
from overtop.storage.files import resolve_inside
from overtop.storage.foreign import read_bytes, read_text, report_damage
from overtop.storage.foreign_tables import column_names, read_columns

METADATA_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Tables of image folders."""

_SPLITS = {"validation": "val", "valid": "val", "dev": "val", "train": "train", "val": "val", "test": "test"}
"""Names of splits, and what they are called here; others keep their names."""

_HUB_FILE = re.compile(r"(.+?)-\d{5,}-of-\d{5,}\.parquet")

_FIX = "save the data set again, or copy the file again"

_FORMS = (
    "state.json or dataset_dict.json of save_to_disk, SPLIT-00000-of-00001.parquet, or metadata.csv, .jsonl or .parquet"
)


@dataclass(frozen=True)
class EncodedImage:
    """An encoded image and its captions.

    Attributes:
        name: its name in the data set; empty if it has none.
        row: its row in the split, from 0.
        content: the encoded image.
        captions: its captions; none if it has none.
    """

    name: str
    row: int
    content: bytes
    captions: Sequence[str]

    @property
    def digest(self) -> bytes:
        """sha256 of the content."""
        return hashlib.sha256(self.content).digest()


Images = Callable[[], Iterator[EncodedImage]]
"""Returns a new iterator over the images of a split."""


def find_splits(folder: Path, columns: Columns) -> dict[str, Images]:
    """The images of each split, by our name of the split.

    Args:
        folder: the folder of the data set.
        columns: names of the columns of images and captions that replace the usual ones.

    Raises:
        OvertopError: the folder has none of the forms, a table is not valid, or two splits have one name.
    """
    files = _find_saved(folder) or _find_on_hub(folder)
    splits: dict[str, Images] = {name: partial(_iterate_rows, paths, columns) for name, paths in files.items()}
    if not splits:
        listed = _find_listed(folder, columns)
        splits = {name: partial(_iterate_files, folder, captions) for name, captions in listed.items()}
    if not splits:
        raise OvertopError(f"{folder}: is no data set of Hugging Face's library `datasets`; it needs {_FORMS}")
    if len(splits) == 1:
        return dict.fromkeys([ALL_IMAGES], *splits.values())
    renamed = [_SPLITS.get(name, name) for name in splits]
    repeated = next((name for name in renamed if renamed.count(name) > 1), None)
    if repeated is not None:
        raise OvertopError(f"{folder}: has more than one split that is called {repeated!r} here; keep one of them")
    return dict(zip(renamed, splits.values(), strict=True))


def _find_saved(folder: Path) -> dict[str, list[Path]]:
    """The Arrow files of each split that `save_to_disk` wrote; of a data set without splits those of one."""
    if (folder / "dataset_dict.json").is_file():
        names = _read_object(folder / "dataset_dict.json", "splits")
        return {name: _list_arrow_files(resolve_inside(folder, name)) for name in names}
    return {ALL_IMAGES: _list_arrow_files(folder)} if (folder / "state.json").is_file() else {}


def _list_arrow_files(folder: Path) -> list[Path]:
    path = folder / "state.json"
    files = _read_object(path, "_data_files")
    with report_damage(path, _FIX):
        return [resolve_inside(folder, file["filename"]) for file in files]


def _read_object(path: Path, key: str) -> Any:
    """One value of a JSON file."""
    text = read_text(path)
    with report_damage(path, _FIX, "is not what save_to_disk writes"):
        return json.loads(text)[key]


def _find_on_hub(folder: Path) -> dict[str, list[Path]]:
    """The parquet files of each split, by the names that they have on the hub."""
    files = defaultdict(list)
    for path in sorted(folder.rglob("*.parquet")):
        if (match := _HUB_FILE.fullmatch(path.name)) is not None:
            files[match[1]].append(path)
    return dict(files)


def _iterate_rows(paths: Sequence[Path], columns: Columns) -> Iterator[EncodedImage]:
    """The rows of Arrow or parquet files."""
    row = 0
    for path in paths:
        image, caption = find_columns(path, batch_columns(path), ["image", "caption"], columns)
        for batch in iterate_batches(path, [image, caption]):
            _check_types(path, batch, image, caption)
            for value, texts in zip(batch[image], batch[caption], strict=True):
                yield _encoded_image(f"{path}: row {row + 1}", row, value.as_py(), texts.as_py())
                row += 1


def _check_types(path: Path, batch: pa.RecordBatch, image: str, caption: str) -> None:
    image_type, caption_type = batch[image].type, batch[caption].type
    fields = {field.name for field in image_type} if pa.types.is_struct(image_type) else set()
    if not ("bytes" in fields or pa.types.is_binary(image_type) or pa.types.is_large_binary(image_type)):
        raise OvertopError(
            f"{path}: column {image!r} has values of type {image_type}, not encoded images; cast it to `Image()` and "
            "save the data set again, or name another column: `columns: {image: NAME}`"
        )
    is_list = pa.types.is_list(caption_type) or pa.types.is_large_list(caption_type)
    text_type = caption_type.value_type if is_list else caption_type
    if not (pa.types.is_string(text_type) or pa.types.is_large_string(text_type) or pa.types.is_null(text_type)):
        raise OvertopError(
            f"{path}: column {caption!r} has values of type {caption_type}, not texts or lists of texts; name another "
            "column: `columns: {caption: NAME}`"
        )


def _encoded_image(place: str, row: int, value: Any, texts: Any) -> EncodedImage:
    """The image of a row."""
    content, name = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
    if not content:
        raise OvertopError(
            f"{place}: has no image{f', only the path {name!r}' if name else ''}; save the data set again with "
            "save_to_disk, which stores the images themselves, or remove the row"
        )
    if len(content) > MAX_IMAGE_BYTES:
        raise OvertopError(f"{place}: its image has more than {MAX_IMAGE_BYTES:,} bytes; make it smaller")
    return EncodedImage(str(name or "").replace("\\", "/").split("/")[-1], row, content, _list_captions(texts))


def _list_captions(texts: Any) -> list[str]:
    """One caption, a list of captions, or none, as a list without empty ones."""
    captions = texts if isinstance(texts, list) else [texts]
    return [caption for caption in captions if caption is not None and caption.strip()]


def _find_listed(folder: Path, columns: Columns) -> dict[str, dict[str, list[str]]]:
    """The captions of each image, by its path in the folder, of each split of an image folder."""
    splits: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(path for name in METADATA_FILES for path in folder.rglob(name)):
        for place, name, captions in _read_metadata(path, columns):
            try:
                file = resolve_inside(folder, (path.parent / name).relative_to(folder).as_posix())
            except OvertopError as error:
                raise OvertopError(f"{place}: {error}") from error
            if not name or not file.is_file():
                raise OvertopError(f"{place}: image {name!r} is missing; correct its name or remove the row")
            relative = file.relative_to(folder).as_posix()
            split = relative.split("/")[0]
            splits[split if split in _SPLITS else ALL_IMAGES][relative] += captions
    return splits


def _read_metadata(path: Path, columns: Columns) -> Iterator[tuple[str, str, list[str]]]:
    """The place, the name and the captions of each image of a table of an image folder."""
    if path.suffix != ".jsonl":
        image, caption = find_columns(path, column_names(path), ["image", "caption"], columns)
        rows = read_columns(path, [image, caption])
        for row, (name, text) in enumerate(zip(rows[image], rows[caption], strict=True), start=1):
            yield f"{path}: row {row}", name, _list_captions(text)
        return
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            place = f"{path}, line {number}"
            with report_damage(place, "write one JSON object per line"):
                values = dict(json.loads(line))
            image, caption = find_columns(place, list(values), ["image", "caption"], columns)
            with report_damage(place, "write a name, and a caption or a list of captions"):
                yield place, str(values[image]), _list_captions(values[caption])


def _iterate_files(folder: Path, captions: dict[str, list[str]]) -> Iterator[EncodedImage]:
    """The images of an image folder."""
    for row, (path, texts) in enumerate(captions.items()):
        yield EncodedImage(path, row, read_bytes(folder / path, MAX_IMAGE_BYTES), texts)
