"""A folder of images without captions: a gallery to search in, or images to search with.

The images are named by their paths inside the folder, and ordered by them. Files and folders whose names begin with a
dot are ignored, as are files that are no images by their suffixes.
"""

import logging
from pathlib import Path

import numpy as np

from overtop.config.datasets import ImagesDataset
from overtop.datasets.annotations import IMAGES_FOLDER
from overtop.datasets.raw import FetchContext, copy_into, remove_other_files, resolve_whole
from overtop.datasets.webdataset import IMAGE_SUFFIXES
from overtop.errors import OvertopError
from overtop.storage.split import Split

SUFFIXES = (*IMAGE_SUFFIXES, "bmp", "gif", "tif", "tiff")
"""Suffixes of images, in lower case; the case of a file's suffix does not matter."""

_NAMED = 5  # files that a message names

logger = logging.getLogger(__name__)


def fetch(name: str, spec: ImagesDataset, split: str, raw: Path, context: FetchContext) -> None:
    """Copy all images of the folder into `raw`.

    Raises:
        OvertopError: the data set has no such split, or the folder does not exist or has no image.
    """
    folder = check(name, spec, split, context)
    images, others = list_images(folder)
    if not images:
        raise OvertopError(
            f"datasets.{name}.source: {folder} has no image (.{', .'.join(SUFFIXES)}), only {_describe(others)}; "
            "correct the path"
        )
    if others:
        logger.info("%s: ignored %s", folder, _describe(others))
    copies = {f"{IMAGES_FOLDER}/{image}": image for image in images}
    copy_into(raw, folder, copies)
    remove_other_files(raw, copies)


def check(name: str, spec: ImagesDataset, split: str, context: FetchContext) -> Path:
    """Return the existing folder of the images.

    Raises:
        OvertopError: the data set has no such split, or the folder does not exist.
    """
    folder = resolve_whole(name, spec.source, split, context)
    if not folder.is_dir():
        raise OvertopError(f"datasets.{name}.source: {folder} is not a folder; name the folder of the images")
    return folder


def list_images(folder: Path) -> tuple[list[str], list[str]]:
    """Return the paths of the images and of the other files in a folder and all folders below it, sorted.

    Args:
        folder: the paths are relative to it, with `/` between their parts.
    """
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    names = sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))
    images = [name for name in names if Path(name).suffix[1:].lower() in SUFFIXES]
    return images, sorted(set(names) - set(images))


def _describe(files: list[str]) -> str:
    """How many files there are, and the names of some."""
    rest = ", ..." if len(files) > _NAMED else ""
    noun = "other file" if len(files) == 1 else "other files"
    return f"{len(files)} {noun}" + (f": {', '.join(files[:_NAMED])}{rest}" if files else "")


def read(name: str, spec: ImagesDataset, raw: Path, split: str) -> Split:
    """The images of the folder."""
    images, _ = list_images(raw / IMAGES_FOLDER)
    paths = [f"{IMAGES_FOLDER}/{image}" for image in images]
    return Split(images, paths, [], [], np.empty(0, dtype=np.int64))
