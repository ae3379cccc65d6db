"""What was found in a folder of a user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from overtop.labels import format_count

Content = Literal["captions", "classes", "embeddings", "images"]


@dataclass(frozen=True)
class Found:
    """A data set that was recognised.

    Attributes:
        content: images with captions, labelled images, embeddings with pairs, or images alone.
        entry: its entry of `datasets`, without its name.
        facts: what it contains, one line each.
        n_images: number of images.
        splits: splits of the files; empty if they have none.
        image_files: files of images, of which a sample can be decoded; empty if images are inside other files.
    """

    content: Content
    entry: Mapping[str, Any]
    facts: Sequence[str]
    n_images: int
    splits: Sequence[str] = ()
    image_files: Sequence[Path] = field(default_factory=list)


def describe_captions(numbers: Sequence[int]) -> str:
    """How many captions images have.

    Args:
        numbers: number of captions of each image.

    Example:
        >>> describe_captions([1, 5, 3, 0])
        '9 captions, 1 to 5 per image (median 3), and 1 image without a caption'
    """
    known = [number for number in numbers if number]
    line = format_count(sum(known), "caption")
    if known:
        few, many = min(known), max(known)
        line += f", {few} to {many} per image (median {np.median(known):g})" if few < many else f", {few} per image"
    without = len(numbers) - len(known)
    return f"{line}, and {format_count(without, 'image')} without a caption" if without else line
