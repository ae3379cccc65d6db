"""Splits that are held out: parts of a split of the files, which loses them.

The images of a split of the files are put into a random order, of which each part is a section: the splits that are
drawn come first, by name, and the rest is last. Images are drawn with all their captions, and in the same shares
captions whose image is unknown. Image files of the same content stay together. Images without a caption are in the
rest: they are what remains of its gallery. So the matches of a bank that is held out are not in the gallery that it is
a bank for.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from overtop.config.dataset_base import HeldOut
from overtop.datasets.draws import rank_items
from overtop.downloads.digests import Digest
from overtop.errors import OvertopError
from overtop.storage.json_files import write_plain_json
from overtop.storage.split import Split

PART_FILE = "part.json"
"""File in the raw folder of a split that is a part of a split of the files, which all its other files are of."""


@dataclass(frozen=True)
class Part:
    """A part of a split of the files.

    Attributes:
        of: the split of the files.
        split: name of the part.
        start: share of the items that other parts have before it in the random order.
        end: share of the items that it and the parts before it have.
        seed: of the order.
    """

    of: str
    split: str
    start: float
    end: float
    seed: int

    @property
    def is_rest(self) -> bool:
        """Whether it has what no other part has."""
        return self.split == self.of

    def select(self, names: Sequence[str], noun: str = "") -> np.ndarray:
        """Return which of some items are in the part, (n,) bool.

        Args:
            names: names of all items of one kind in the split of the files; those with the same name stay together.
            noun: what they are, if there must be some; empty if there may be none.

        Raises:
            OvertopError: none of them is in the part.
        """
        places = rank_items(names, self.seed, "held_out")
        selected = (places >= round(self.start * len(names))) & (places < round(self.end * len(names)))
        if noun and not selected.any():
            share = f"{self.end - self.start:g} of {len(names)} {noun}"
            raise OvertopError(f"a share of {share} is none; change the shares, so that every split has some")
        return selected


def find_part(held_out: Mapping[str, HeldOut], split: str) -> Part | None:
    """Which part of a split of the files a split is; None if it is whole."""
    origin = held_out[split].of if split in held_out else split
    end = 0.0
    for name, held in sorted(held_out.items()):
        if held.of == origin:
            start, end = end, end + held.share
            if name == split:
                return Part(origin, name, start, end, held.seed)
    seeds = [held.seed for held in held_out.values() if held.of == origin]
    return Part(origin, origin, end, 1.0, seeds[0]) if seeds else None


def select_items(split: Split, part: Part, raw: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return which images, (N,) bool, and which captions, (M,) bool, of a split of the files are in a part.

    Args:
        split: the split of the files.
        part: a part of it.
        raw: the folder that its image paths are relative to; None if it has no image files.

    Raises:
        OvertopError: none of the images with captions would be in the part.
    """
    images = np.full(len(split.image_ids), part.is_rest)
    paired, unpaired = np.flatnonzero(split.has_caption), np.flatnonzero(~split.has_image)
    names = split.image_ids if raw is None else _name_contents(split, raw)
    if len(paired) or not len(unpaired):
        noun = "images" if split.has_caption.all() else "images with captions"
        images[paired] = part.select([names[row] for row in paired], noun)
        unpaired_captions = part.select([split.caption_ids[row] for row in unpaired])
    else:
        unpaired_captions = part.select([split.caption_ids[row] for row in unpaired], "captions")
    captions = np.append(images, False)[split.image_of_caption]
    captions[unpaired] = unpaired_captions
    return images, captions


def _name_contents(split: Split, raw: Path) -> list[str]:
    """For each image the first name, in alphabetical order, of an image whose file has the same content."""
    same_size = defaultdict(list)
    for name, path in zip(split.image_ids, split.image_paths, strict=True):
        if path and (raw / path).is_file():
            same_size[(raw / path).stat().st_size].append((name, raw / path))
    first: dict[Digest, str] = {}
    names = {name: name for name in split.image_ids}
    for files in filter(lambda files: len(files) > 1, same_size.values()):
        for name, file in sorted(files):
            names[name] = first.setdefault(Digest.of(file), name)
    return [names[name] for name in split.image_ids]


def write_part(raw: Path, part: Part) -> None:
    """Record in the raw folder of a split that it is a part of the split that its files are of."""
    write_plain_json(raw / PART_FILE, asdict(part))


def read_part(raw: Path) -> Part | None:
    """Read what `write_part` wrote; None if the split has all items of its files."""
    path = raw / PART_FILE
    return Part(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
