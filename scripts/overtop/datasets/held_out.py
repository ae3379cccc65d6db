"""Splits that are held out: a draw of the items of a split of the files, which loses them.

Images are drawn with all their captions, and in the same share captions whose image is unknown. Images without a
caption stay in the split that is drawn from: they are the rest of its gallery. So the matches of a bank that is held
out are not in the gallery that it is a bank for.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from overtop.config.dataset_base import HeldOut
from overtop.datasets.draws import draw_items
from overtop.errors import OvertopError
from overtop.storage.json_files import write_plain_json
from overtop.storage.split import Split

PART_FILE = "part.json"
"""File in the raw folder of a split that is one part of a split of the files, which all its other files are of."""


@dataclass(frozen=True)
class Part:
    """One of the two parts of a split of the files.

    Attributes:
        of: the split of the files.
        held_out: name of the split that is drawn from it.
        share: of its items that are drawn.
        seed: of the draw.
        is_drawn: whether the part has the items that are drawn, or all others.
    """

    of: str
    held_out: str
    share: float
    seed: int
    is_drawn: bool

    def select(self, names: Sequence[str]) -> np.ndarray:
        """Return which of some items are in the part, (n,) bool.

        Args:
            names: names of all items of one kind in the split of the files.
        """
        return draw_items(names, round(self.share * len(names)), self.seed, "held_out") == self.is_drawn

    def check_size(self, n: int, noun: str) -> None:
        """Check that both parts have items.

        Args:
            n: number of items in the split of the files.
            noun: what they are.

        Raises:
            OvertopError: all or none of the items would be drawn.
        """
        n_drawn = round(self.share * n)
        if not 0 < n_drawn < n:
            raise OvertopError(
                f"held_out.{self.held_out}: a share of {self.share:g} of {n} {noun} is {n_drawn}; change `share`, so "
                f"that both splits have {noun.split()[0]}"
            )


def find_part(held_out: Mapping[str, HeldOut], split: str) -> Part | None:
    """Which part of a split of the files a split is; None if it is whole."""
    for name, held in held_out.items():
        if split in (name, held.of):
            return Part(held.of, name, held.share, held.seed, is_drawn=split == name)
    return None


def select_items(split: Split, part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Return which images, (N,) bool, and which captions, (M,) bool, of a split of the files are in a part.

    Raises:
        OvertopError: all or none of the images with captions would be drawn.
    """
    images = np.full(len(split.image_ids), not part.is_drawn)
    paired, unpaired = np.flatnonzero(split.has_caption), np.flatnonzero(~split.has_image)
    if len(paired) or not len(unpaired):
        part.check_size(len(paired), "images" if split.has_caption.all() else "images with captions")
    else:
        part.check_size(len(unpaired), "captions")
    images[paired] = part.select([split.image_ids[row] for row in paired])
    captions = np.append(images, False)[split.image_of_caption]
    captions[unpaired] = part.select([split.caption_ids[row] for row in unpaired])
    return images, captions


def write_part(raw: Path, part: Part) -> None:
    """Record in the raw folder of a split that it is a part of the split that its files are of."""
    write_plain_json(raw / PART_FILE, asdict(part))


def read_part(raw: Path) -> Part | None:
    """Read what `write_part` wrote; None if the split has all items of its files."""
    path = raw / PART_FILE
    return Part(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
