"""Images and captions in a folder of Hugging Face's library `datasets`, read without that library.

The forms are described in `overtop.datasets.huggingface_files`. The raw folder of a split has the images in `images/`,
and the captions in `captions.csv`. Images of the same bytes are one image with the captions of all their rows.
"""

from collections.abc import Container, Iterable
from pathlib import Path, PurePosixPath

import pandas as pd

from overtop.config.datasets import HuggingFaceDataset
from overtop.datasets.annotations import IMAGES_FOLDER
from overtop.datasets.huggingface_files import EncodedImage, Images, find_splits
from overtop.datasets.raw import FetchContext, raw_file, remove_other_files, resolve_source, unknown_split_error
from overtop.datasets.table import split_from_rows
from overtop.errors import OvertopError
from overtop.progress import track
from overtop.storage.foreign_tables import read_columns
from overtop.storage.names import problem_of
from overtop.storage.split import Split
from overtop.storage.tables import write_plain_table

CAPTIONS_FILE = "captions.csv"
"""File of the captions in the raw folder, with the columns image and caption."""

_SUFFIXES = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"RIFF": ".webp", b"BM": ".bmp"}
"""Suffix of an image without a name, by the first bytes of its file."""


def fetch(name: str, spec: HuggingFaceDataset, split: str, raw: Path, context: FetchContext) -> None:
    """Write the images and captions of one split into `raw`.

    Raises:
        OvertopError: the folder has none of the forms or no such split, or a file is damaged.
    """
    images = check(name, spec, split, context)
    captions = _write_images(raw, track(images(), "fetch", "image"))
    rows = [(image, caption) for image, texts in captions.items() for caption in texts or [""]]
    write_plain_table(raw / CAPTIONS_FILE, pd.DataFrame(rows, columns=["image", "caption"]))
    remove_other_files(raw, [CAPTIONS_FILE, *(f"{IMAGES_FOLDER}/{image}" for image in captions)])


def check(name: str, spec: HuggingFaceDataset, split: str, context: FetchContext) -> Images:
    """Return the images of a split, after checking that the folder has it.

    Raises:
        OvertopError: the folder has none of the forms or no such split.
    """
    key = f"datasets.{name}"
    folder = resolve_source(f"{key}.source", spec.source, context.mirror)
    splits = find_splits(folder, spec.columns)
    if spec.split is not None and len(splits) > 1:
        raise OvertopError(f"{folder} has the splits {', '.join(sorted(splits))}; remove {key}.split")
    if split not in splits:
        fix = f"draw it by shares, {key}.split: {{val: 0.2}}" if len(splits) == 1 else ""
        raise unknown_split_error(split, str(folder), splits, fix)
    return splits[split]


def _write_images(raw: Path, images: Iterable[EncodedImage]) -> dict[str, list[str]]:
    """Write each image once, and return the captions of each by its name."""
    names: dict[bytes, str] = {}
    captions: dict[str, list[str]] = {}
    for image in images:
        if image.digest not in names:
            names[image.digest] = _choose_name(image, captions)
            with raw_file(raw / IMAGES_FOLDER, names[image.digest]) as temporary:
                temporary.write_bytes(image.content)
        captions.setdefault(names[image.digest], []).extend(image.captions)
    return captions


def _choose_name(image: EncodedImage, taken: Container[str]) -> str:
    """The name of an image in the data set, or its row; both where the name is taken."""
    if not image.name or problem_of(image.name) is not None or image.name in (".", ".."):
        suffix = next((suffix for start, suffix in _SUFFIXES.items() if image.content.startswith(start)), "")
        return f"{image.row:08d}{suffix}"
    path = PurePosixPath(image.name)
    return image.name if image.name not in taken else str(path.with_name(f"{path.stem}-{image.row}{path.suffix}"))


def read(name: str, spec: HuggingFaceDataset, raw: Path, split: str) -> Split:
    """The images and captions that were fetched.

    Raises:
        OvertopError: the rows are not valid.
    """
    path = raw / CAPTIONS_FILE
    return split_from_rows(path, read_columns(path, ["image", "caption"]), f"{IMAGES_FOLDER}/")
