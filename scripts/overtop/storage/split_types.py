"""A split of a data set: images, their captions or classes, and which of them match."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from overtop.errors import OvertopError
from overtop.terms import DIRECTIONS, Direction


@dataclass(frozen=True)
class EccvJudgments:
    """Positives by ECCV Caption (Chun et al. 2022), whose annotators judged candidates for some queries only.

    Attributes:
        positives: for each caption the indices of the images that match it.
        judged_captions: (M,) bool, captions that were judged as queries.
        judged_images: (N,) bool, images that were judged as queries.
    """

    positives: list[np.ndarray]
    judged_captions: np.ndarray
    judged_images: np.ndarray


@dataclass(frozen=True)
class Split:
    """One split of a data set. Captions are ordered by image, in the order of `image_ids`; those of no image are last.

    An image without a caption, and a caption whose image is unknown, are items of the galleries like any other. As
    queries they have no known match, and nothing is trained or evaluated on them.

    Attributes:
        image_ids: N unique names.
        image_paths: N paths relative to the data folder; empty strings if the data set has no image files.
        caption_ids: M unique names.
        captions: M texts.
        image_of_caption: (M,) int64, index of the image that each caption was written for (the labelled pair); -1 if
            that image is unknown.
        extended: for each caption the indices of all images it is known to describe, its own included; None if only
            the labelled pairs are known.
        levels: for each caption its level of precision, if the data set has such levels; else None.
        eccv: positives of the queries that ECCV Caption judged; None if the data set does not use it.
        absent: (N,) bool, images that are missing from the gallery of images, and whose captions are missing from the
            gallery of captions; these images and captions remain queries. None if the galleries are complete.
        is_sample: whether the items are some of those of another split, whose embeddings serve both.
        labels: for a data set of classes, the sorted indices of the images of each class. Its captions are then the M
            class names, which may repeat, with the numbers of the classes as ids; `image_of_caption` is -1. An image
            may have several classes, and a class no image. None for a data set of captions.
        templates: prompts of a data set of classes, in which `{c}` stands for the class name.

    Raises:
        OvertopError: an id is not unique, a caption is empty or out of order, or an image of a data set of classes has
            no class.

    Example:
        >>> split = Split(["a", "b"], ["", ""], ["a#0", "#0"], ["a dog", "a cat"], np.array([0, -1]))
        >>> split.has_caption.tolist(), split.has_image.tolist()
        ([True, False], [True, False])
    """

    image_ids: list[str]
    image_paths: list[str]
    caption_ids: list[str]
    captions: list[str]
    image_of_caption: np.ndarray
    extended: list[np.ndarray] | None = None
    levels: list[str] | None = None
    eccv: EccvJudgments | None = None
    absent: np.ndarray | None = None
    is_sample: bool = False
    labels: list[np.ndarray] | None = None
    templates: list[str] | None = None

    def __post_init__(self) -> None:
        _check_unique("image", self.image_ids)
        _check_unique("caption", self.caption_ids)
        if self.labels is not None:
            _check_classes(self)
            return
        for caption_id, caption in zip(self.caption_ids, self.captions, strict=True):
            if not caption.strip():
                raise OvertopError(f"caption {caption_id!r} is empty; write a caption or remove its row")
        if (np.diff(np.where(self.has_image, self.image_of_caption, len(self.image_ids))) < 0).any():
            raise OvertopError("captions must be ordered by image, those of no image last; sort them")

    @property
    def is_classes(self) -> bool:
        """Whether the captions are the names of classes, of which each image has at least one."""
        return self.labels is not None

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions in which the split is ranked: for a data set of classes, images rank the classes."""
        return ("i2t",) if self.is_classes else DIRECTIONS

    @property
    def has_image(self) -> np.ndarray:
        """(M,) bool, whether the image of each caption is known; False for classes."""
        return self.image_of_caption >= 0

    @property
    def has_caption(self) -> np.ndarray:
        """(N,) bool, whether each image has a caption; False in a data set of classes."""
        return np.isin(np.arange(len(self.image_ids)), self.image_of_caption)

    @property
    def positives(self) -> Sequence[np.ndarray] | np.ndarray:
        """For each caption the indices of its labelled images; none if its image is unknown."""
        if self.labels is not None:
            return self.labels
        if self.has_image.all():
            return self.image_of_caption[:, None]
        return [image[image >= 0] for image in self.image_of_caption[:, None]]

    def image_rows(self, caption_ids: Sequence[str], image_ids: Sequence[str]) -> np.ndarray:
        """For each caption the row of its own image among `image_ids`, int64; -1 if it is unknown or not listed.

        Args:
            caption_ids: captions of this split.
            image_ids: images of this split, such as those that were embedded.

        Raises:
            OvertopError: a caption is not in the split.
        """
        row_of_image = {image_id: row for row, image_id in enumerate(image_ids)}
        rows = [row_of_image.get(image_id, -1) for image_id in self.image_ids]
        rows.append(-1)  # of the captions whose image is -1
        row_of_caption = {
            caption_id: rows[image]
            for caption_id, image in zip(self.caption_ids, self.image_of_caption.tolist(), strict=True)
        }
        unknown = next((caption_id for caption_id in caption_ids if caption_id not in row_of_caption), None)
        if unknown is not None:
            raise OvertopError(f"caption {unknown!r} is not in the split; embed the split again")
        return np.array([row_of_caption[caption_id] for caption_id in caption_ids], dtype=np.int64)

    def select(self, images: np.ndarray, captions: np.ndarray) -> "Split":
        """Return some images with all their captions, and some of the captions whose image is unknown.

        Args:
            images: (N,) bool, the images to keep.
            captions: (M,) bool, which captions to keep among those whose image is unknown; others are ignored.
        """
        assert not self.is_classes, "only for data sets of captions"
        kept = np.where(self.has_image, np.append(images, False)[self.image_of_caption], captions)
        new_row = np.append(np.where(images, np.cumsum(images) - 1, -1), -1)
        image_rows, caption_rows = np.flatnonzero(images), np.flatnonzero(kept)

        def select_positives(positives: list[np.ndarray]) -> list[np.ndarray]:
            return [new_row[positives[row][images[positives[row]]]] for row in caption_rows]

        eccv = self.eccv and EccvJudgments(
            select_positives(self.eccv.positives), self.eccv.judged_captions[kept], self.eccv.judged_images[images]
        )
        return replace(
            self,
            image_ids=[self.image_ids[row] for row in image_rows],
            image_paths=[self.image_paths[row] for row in image_rows],
            caption_ids=[self.caption_ids[row] for row in caption_rows],
            captions=[self.captions[row] for row in caption_rows],
            image_of_caption=new_row[self.image_of_caption[kept]],
            extended=self.extended and select_positives(self.extended),
            levels=self.levels and [self.levels[row] for row in caption_rows],
            eccv=eccv,
            absent=None if self.absent is None else self.absent[images],
        )


def _check_unique(item: str, ids: Sequence[str]) -> None:
    """Raise an error that names the first repeated id; `item` is what the ids identify."""
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise OvertopError(f"{item} id {repeated[0]!r} occurs more than once; ids must be unique within a split")


def _check_classes(split: Split) -> None:
    """Raise an error unless a data set of classes has prompts, and a class for every image."""
    assert split.labels is not None, "only for data sets of classes"
    if not split.templates or not all("{c}" in template for template in split.templates):
        raise OvertopError("a data set of classes needs templates with {c} in place of the class name; add one")
    empty = next((i for i, name in enumerate(split.captions) if not name.strip()), None)
    if empty is not None:
        raise OvertopError(f"class {split.caption_ids[empty]} has no name; name it")
    labelled = np.concatenate([np.empty(0, dtype=np.int64), *split.labels])
    without_class = np.setdiff1d(np.arange(len(split.image_ids)), labelled)
    if without_class.size:
        raise OvertopError(f"image {split.image_ids[without_class[0]]!r} has no class; give it one or remove it")


def split_from_labels(
    image_ids: Sequence[str],
    image_paths: Sequence[str],
    classes_of_image: Sequence[Sequence[int]],
    names: Sequence[str],
    templates: Sequence[str],
) -> Split:
    """A split of a data set of classes.

    Args:
        image_ids: N unique names.
        image_paths: N paths relative to the data folder.
        classes_of_image: for each image the numbers of its classes, from 0.
        names: M class names.
        templates: prompts with `{c}` in place of the class name.

    Raises:
        OvertopError: a class has no such number, or the rows are not a valid split.
    """
    images = np.repeat(np.arange(len(image_ids)), [len(classes) for classes in classes_of_image])
    numbers = np.array([number for classes in classes_of_image for number in classes], dtype=np.int64)
    outside = np.flatnonzero((numbers < 0) | (numbers >= len(names)))
    if outside.size:
        image = image_ids[images[outside[0]]]
        raise OvertopError(f"image {image!r} has class {numbers[outside[0]]}, but classes are 0 to {len(names) - 1}")
    return Split(
        image_ids=list(image_ids),
        image_paths=list(image_paths),
        caption_ids=[str(number) for number in range(len(names))],
        captions=list(names),
        image_of_caption=np.full(len(names), -1, dtype=np.int64),
        labels=[np.unique(images[numbers == number]) for number in range(len(names))],
        templates=list(templates),
    )
