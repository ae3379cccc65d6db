"""Embeddings that were made elsewhere, evaluated without running an encoder.

Three formats are accepted, distinguished by the files of the source:

- an `.npz` file with `image` and `text`, each (n, D) or (S, n, D) for S samples of a posterior; optional
  `image_of_caption` (M,), -1 for captions whose image is unknown, `filenames` (N,) and `captions` (M,). Without
  `image_of_caption`, row i of `text` belongs to row i of `image`. Images may have no caption.
- a folder as clip-retrieval writes it: `img_emb/img_emb_*.npy`, `text_emb/text_emb_*.npy`, `metadata/*.parquet` with
  `image_path` and `caption`, one row per pair.
- a folder with `image.h5` and `text.h5` in the format of our shards, and `split.parquet` as written by the rule
  `split`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from overtop.config.datasets import EmbeddingsDataset
from overtop.datasets.held_out import read_part, select_items
from overtop.datasets.npz_files import OWNERS, read_npz
from overtop.datasets.raw import FetchContext, copy_into, remove_other_files, resolve_source, unknown_split_error
from overtop.errors import OvertopError
from overtop.storage.arrays import decode_strings, read_arrays
from overtop.storage.embedding_files import in_numerical_order
from overtop.storage.foreign_tables import column_names, read_columns
from overtop.storage.numpy_files import check_real, map_array
from overtop.storage.shard_contents import check_contents
from overtop.storage.shards import SCHEMA, write_shard
from overtop.storage.split import Split, read_split
from overtop.terms import IMPORTED, Modality, OnError


@dataclass(frozen=True)
class ImportedEmbeddings:
    """A split with its embeddings.

    Attributes:
        split: the N images, M captions and their pairs.
        image: (S, N, D) samples of the image embeddings, un-normalised.
        text: (S, M, D) samples of the caption embeddings, un-normalised.
    """

    split: Split
    image: np.ndarray
    text: np.ndarray


def fetch(name: str, spec: EmbeddingsDataset, split: str, raw: Path, context: FetchContext) -> None:
    """Copy the file of the split, or all files of its folder, into `raw`.

    Raises:
        OvertopError: the data set has no such split, or its file or folder does not exist.
    """
    source = check(name, spec, split, context)
    if source.is_file():
        folder, files = source.parent, [source.name]
    else:
        folder, files = source, [str(path.relative_to(source)) for path in sorted(source.rglob("*")) if path.is_file()]
    copy_into(raw, folder, {file: file for file in files})
    remove_other_files(raw, files)


def check(name: str, spec: EmbeddingsDataset, split: str, context: FetchContext) -> Path:
    """Return the existing file or folder of a split.

    Raises:
        OvertopError: the data set has no such split, or its file or folder does not exist.
    """
    if split not in spec.splits:
        raise unknown_split_error(split, f"datasets.{name}.splits", spec.splits)
    return resolve_source(f"datasets.{name}.splits.{split}", spec.splits[split], context.mirror)


def read(name: str, spec: EmbeddingsDataset, raw: Path, split: str) -> Split:
    """The images, captions and pairs of the files, without image files."""
    return load_embeddings(raw).split


def load_part(raw: Path) -> ImportedEmbeddings:
    """Read the embeddings of a split from its raw folder: all of its files, or the part that is or is not held out.

    Raises:
        OvertopError: as `load_embeddings`.
    """
    imported, part = load_embeddings(raw), read_part(raw)
    if part is None:
        return imported
    images, captions = select_items(imported.split, part)
    return ImportedEmbeddings(
        imported.split.select(images, captions), imported.image[:, images], imported.text[:, captions]
    )


def load_embeddings(folder: Path) -> ImportedEmbeddings:
    """Read the embeddings of all files in the raw folder of a split, in any of the three formats.

    Raises:
        OvertopError: the format is unknown, a shape is wrong, or the pairs are not given.
    """
    npz_files = sorted(folder.glob("*.npz"))
    if len(npz_files) == 1:
        imported = _load_npz(npz_files[0])
    elif (folder / "img_emb").is_dir():
        imported = _load_clip_retrieval(folder)
    elif (folder / "image.h5").is_file():
        imported = _load_shards(folder)
    else:
        raise OvertopError(
            f"{folder}: contains neither one .npz file, nor img_emb/ text_emb/ metadata/, nor image.h5 text.h5 "
            "split.parquet; see docs/own-data.md"
        )
    _check_shapes(folder, imported)
    return imported


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
            item_id = item_ids[int(valid.argmin())]
            raise OvertopError(
                f"data set {dataset!r}, split {split!r}: the embedding of {modality} {item_id!r} is zero or not finite "
                f"({(~valid).sum()} such items); correct the file, or leave them out: datasets.{dataset}.on_error: skip"
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


def _check_shapes(folder: Path, imported: ImportedEmbeddings) -> None:
    """Samples and widths of both modalities must agree, and the numbers of rows with the split."""
    image_shape, text_shape = imported.image.shape, imported.text.shape
    if not len(image_shape) == len(text_shape) == 3 or image_shape[::2] != text_shape[::2]:
        raise OvertopError(
            f"{folder}: image {image_shape} and text {text_shape} must have the same number of samples S and width D"
        )
    if (image_shape[1], text_shape[1]) != (len(imported.split.image_ids), len(imported.split.captions)):
        raise OvertopError(
            f"{folder}: {image_shape[1]} image and {text_shape[1]} text rows do not match their metadata"
        )


def _load_npz(path: Path) -> ImportedEmbeddings:
    arrays = read_npz(path)
    image_ids = arrays["filenames"] if "filenames" in arrays else np.arange(arrays["image"].shape[1]).astype(str)
    return _order_by_image(
        arrays[OWNERS], image_ids.tolist(), arrays.get("captions"), image=arrays["image"], text=arrays["text"]
    )


def _load_clip_retrieval(folder: Path) -> ImportedEmbeddings:
    image, text = (_read_parts(folder / kind, f"{kind}_*.npy") for kind in ("img_emb", "text_emb"))
    metadata = pd.concat(map(_read_metadata, _list_parts(folder / "metadata", "*.parquet")), ignore_index=True)
    if not len(image) == len(text) == len(metadata):
        raise OvertopError(
            f"{folder}: {len(image)} image rows, {len(text)} text rows, {len(metadata)} metadata rows; "
            "all three must come from one run"
        )
    missing = (metadata == "").any()
    if missing.any():
        raise OvertopError(
            f"{folder / 'metadata'}: column {missing.idxmax()!r} has empty rows; remove these pairs from all files"
        )
    owners, image_ids = pd.factorize(metadata["image_path"])
    _, first = np.unique(owners, return_index=True)
    captions = metadata["caption"].to_numpy(dtype=object)
    return _order_by_image(owners, list(image_ids), captions, image=image[None, first], text=text[None])


def _read_parts(folder: Path, pattern: str) -> np.ndarray:
    """The rows of all parts, (n, D); a part that claims more than its file holds is an error."""
    paths = _list_parts(folder, pattern)
    parts = [map_array(path) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if part.ndim != 2 or part.shape[1] != parts[0].shape[-1]:
            raise OvertopError(f"{path}: has shape {part.shape}; all parts must be (n, D) with the same D")
        check_real(path, part)
    return np.concatenate(parts)


def _read_metadata(path: Path) -> pd.DataFrame:
    columns, names = ["image_path", "caption"], column_names(path)
    missing = sorted(set(columns) - set(names))
    if missing:
        raise OvertopError(f"{path}: column {missing[0]!r} is missing; write it for every pair")
    return read_columns(path, columns)


def _list_parts(folder: Path, pattern: str) -> list[Path]:
    """The numbered files of a folder in numerical order."""
    files = in_numerical_order(folder.glob(pattern))
    if not files:
        raise OvertopError(f"{folder}: has no {pattern}; complete the folder")
    return files


def _load_shards(folder: Path) -> ImportedEmbeddings:
    """The embeddings of shards; what is not valid in one becomes NaN, which `on_error` decides about."""
    split = read_split(folder / "split.parquet")
    embedding = {}
    for modality, expected_ids in (("image", split.image_ids), ("text", split.caption_ids)):
        path = folder / f"{modality}.h5"
        arrays, _ = read_arrays(path, SCHEMA)
        check_contents(path, arrays)
        if decode_strings(arrays["item_id"]) != expected_ids:
            raise OvertopError(f"{path}: its items are not those of split.parquet in the same order; write both again")
        embedding[modality], valid = arrays["embedding"], arrays["valid"]
        if not valid.all():
            embedding[modality] = np.where(valid[:, None], embedding[modality], np.float32(np.nan))
    return ImportedEmbeddings(split, embedding["image"], embedding["text"])


def _order_by_image(
    owners: np.ndarray, image_ids: list[str], captions: np.ndarray | None, *, image: np.ndarray, text: np.ndarray
) -> ImportedEmbeddings:
    """The split of captions in any order, and the embeddings in its order.

    The id of a caption is that of its image, if it is known, and its number among the captions of that image.

    Args:
        owners: (M,) row of the image of each caption; -1 if it is unknown.
        image_ids: the N images, in the order of `image`.
        captions: (M,) texts; None to use the ids.
        image: (S, N, D).
        text: (S, M, D).
    """
    numbers = pd.Series(owners).groupby(owners).cumcount()
    names = np.array([*image_ids, ""], dtype=object)[owners]
    caption_ids = np.array([f"{name}#{number}" for name, number in zip(names, numbers, strict=True)], dtype=object)
    order = np.argsort(np.where(owners < 0, len(image_ids), owners), kind="stable")
    split = Split(
        image_ids,
        [""] * len(image_ids),
        caption_ids[order].tolist(),
        (caption_ids if captions is None else captions)[order].tolist(),
        owners[order].astype(np.int64),
    )
    return ImportedEmbeddings(split, image, text[:, order])
