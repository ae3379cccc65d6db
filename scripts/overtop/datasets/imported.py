"""Embeddings that were made elsewhere, with the split that they belong to."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from overtop.errors import OvertopError
from overtop.storage.shards import write_shard
from overtop.storage.split import Split
from overtop.terms import IMPORTED, Modality, OnError

SAME_IMAGE = 0.999
"""Cosine similarity of two embeddings of one image, at least: they differ by rounding in batches of other sizes."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """Where the embeddings of one modality come from.

    Attributes:
        place: file, and array or column.
        rows: (n,) row of each item, from 0.
    """

    place: str
    rows: np.ndarray


@dataclass(frozen=True)
class ImportedEmbeddings:
    """A split with its embeddings.

    Attributes:
        split: the N images, M captions and their pairs.
        image: (S, N, D) samples of the image embeddings, un-normalised.
        text: (S, M, D) samples of the caption embeddings, un-normalised.
        origins: where the embeddings come from, for messages, as far as known.
    """

    split: Split
    image: np.ndarray
    text: np.ndarray
    origins: Mapping[Modality, Origin] = field(default_factory=dict)

    def select(self, images: np.ndarray, captions: np.ndarray) -> "ImportedEmbeddings":
        """Return some of the images, (N,) bool, and of the captions, (M,) bool."""
        kept: dict[Modality, np.ndarray] = {"image": images, "text": captions}
        origins = {name: Origin(origin.place, origin.rows[kept[name]]) for name, origin in self.origins.items()}
        return ImportedEmbeddings(
            self.split.select(images, captions), self.image[:, images], self.text[:, captions], origins
        )


def pair_embeddings(
    places: Mapping[Modality, str],
    owners: np.ndarray,
    image_ids: Sequence[str],
    captions: np.ndarray | None,
    *,
    image: np.ndarray,
    text: np.ndarray,
) -> ImportedEmbeddings:
    """Pair the embeddings of captions in any order with those of their images, each of which may occur repeatedly.

    The id of a caption is that of its image, if it is known, and its number among the captions of that image.

    Args:
        places: where the embeddings of each modality are, for messages.
        owners: (M,) row of the image of each caption; -1 if it is unknown.
        image_ids: names of the rows of `image`; rows of the same name are one image.
        captions: (M,) texts; None to use the ids.
        image: (S, N, D).
        text: (S, M, D).

    Raises:
        OvertopError: rows of the same name have different embeddings.
    """
    for array, place in ((image, places["image"]), (text, places["text"])):
        if array.dtype.kind in "iu":
            logger.warning(
                "%s has whole numbers (%s): right only if they were scaled without an offset", place, array.dtype
            )
    codes, names = pd.factorize(np.asarray(image_ids, dtype=object))
    _, first = np.unique(codes, return_index=True)
    if len(first) < len(codes):
        _check_repeats(places["image"], names, codes, first, image)
        owners = np.append(codes, -1)[owners]
    numbers = pd.Series(owners).groupby(owners).cumcount()
    images = np.array([*names, ""], dtype=object)[owners]
    caption_ids = np.array([f"{name}#{number}" for name, number in zip(images, numbers, strict=True)], dtype=object)
    order = np.argsort(np.where(owners < 0, len(names), owners), kind="stable")
    split = Split(
        list(names),
        [""] * len(names),
        caption_ids[order].tolist(),
        (caption_ids if captions is None else captions)[order].tolist(),
        owners[order].astype(np.int64),
    )
    origins: dict[Modality, Origin] = {"image": Origin(places["image"], first), "text": Origin(places["text"], order)}
    return ImportedEmbeddings(split, image if len(first) == len(codes) else image[:, first], text[:, order], origins)


def _check_repeats(place: str, names: np.ndarray, codes: np.ndarray, first: np.ndarray, image: np.ndarray) -> None:
    """Raise an error if rows of one image differ; samples differ by themselves."""
    if len(image) > 1:
        return
    with np.errstate(all="ignore"):  # rows without a direction are reported when they are written
        unit = image[0].astype(np.float32)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        differs = np.flatnonzero((unit * unit[first[codes]]).sum(axis=1) < SAME_IMAGE)
    if differs.size:
        row = differs[0]
        rows = f"rows {first[codes[row]]} and {row}"
        name = names[codes[row]]
        raise OvertopError(f"{place}: {rows} are both called {name!r} and differ; give each image its own name")


def write_imported_shards(
    imported: ImportedEmbeddings,
    paths: Mapping[Modality, str | Path],
    *,
    dataset: str,
    split: str,
    on_error: OnError,
) -> None:
    """Write imported embeddings as one shard per modality.

    Args:
        imported: the embeddings.
        paths: the file of each modality.
        dataset: name of the data set, for the provenance.
        split: name of the split, for the provenance.
        on_error: what to do with items whose embedding is zero or not finite: raise an error, or mark them as skipped.

    Raises:
        OvertopError: an embedding is zero or not finite and `on_error` is `fail`, or all are.
    """
    items: dict[Modality, tuple[np.ndarray, list[str]]] = {
        "image": (imported.image, imported.split.image_ids),
        "text": (imported.text, imported.split.caption_ids),
    }
    for modality, (embedding, item_ids) in items.items():
        with np.errstate(over="ignore"):  # reported below
            embedding = embedding.astype(np.float32, copy=False)
        valid = np.isfinite(embedding).all(axis=(0, 2)) & embedding.any(axis=2).all(axis=0)
        if on_error == "fail" and not valid.all():
            row = int(valid.argmin())
            place = f"data set {dataset!r}, split {split!r}"
            if modality in imported.origins:
                origin = imported.origins[modality]
                place = f"{origin.place}, row {origin.rows[row]}"
            raise OvertopError(
                f"{place}: the embedding of {modality} {item_ids[row]!r} is zero or not finite ({(~valid).sum()} such "
                f"items); correct the file, or leave them out: datasets.{dataset}.on_error: skip"
            )
        write_shard(
            paths[modality],
            embedding,
            item_ids,
            valid=valid,
            provenance={
                "dataset": dataset,
                "split": split,
                "encoder": {"name": IMPORTED},
                "sampling": "samples",
                "modality": modality,
                "shard": 0,
                "shards": 1,
            },
        )
