"""Embeddings that were made elsewhere, evaluated without running an encoder.

Three formats are accepted, distinguished by the files of the source:

- an `.npz` file with `image` and `text`, each (n, D) or (S, n, D) for S samples of a posterior; optional
  `image_of_caption` (M,), `filenames` (N,) and `captions` (M,). Without `image_of_caption`, row i of `text` belongs to
  row i of `image`.
- a folder as clip-retrieval writes it: `img_emb/img_emb_*.npy`, `text_emb/text_emb_*.npy`, `metadata/*.parquet` with
  `image_path` and `caption`, one row per pair.
- a folder with `image.h5` and `text.h5` in the format of our shards, and `split.parquet` as written by the rule
  `split`.
"""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from overtop.config.datasets import EmbeddingsDataset
from overtop.datasets.raw import FetchContext, copy_into, remove_other_files, resolve_source, unknown_split_error
from overtop.errors import OvertopError
from overtop.storage.arrays import decode_strings, read_arrays
from overtop.storage.shards import SCHEMA, write_shard
from overtop.storage.split import Split, read_split, split_from_frame
from overtop.terms import IMPORTED, Modality


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
    if split not in spec.splits:
        raise unknown_split_error(split, f"datasets.{name}.splits", spec.splits)
    source = resolve_source(f"datasets.{name}.splits.{split}", spec.splits[split], context.mirror)
    if source.is_file():
        folder, files = source.parent, [source.name]
    else:
        folder, files = source, [str(path.relative_to(source)) for path in sorted(source.rglob("*")) if path.is_file()]
    copy_into(raw, folder, {file: file for file in files})
    remove_other_files(raw, files)


def read(name: str, spec: EmbeddingsDataset, raw: Path, split: str) -> Split:
    """The images, captions and pairs of `split`, without image files."""
    return load_embeddings(raw).split


def load_embeddings(folder: Path) -> ImportedEmbeddings:
    """Read the embeddings in the raw folder of a split, in any of the three formats.

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
    on_error: Literal["fail", "skip"],
) -> None:
    """Write imported embeddings as one shard per modality.

    Args:
        imported: the embeddings.
        paths: the file of each modality.
        dataset: name of the data set, for the provenance.
        split: name of the split, for the provenance.
        on_error: what to do with items whose embedding is not finite: raise an error, or mark them as skipped.

    Raises:
        OvertopError: an embedding is not finite and `on_error` is `fail`, or all are not finite.
    """
    items: dict[Modality, tuple[np.ndarray, list[str]]] = {
        "image": (imported.image, imported.split.image_ids),
        "text": (imported.text, imported.split.caption_ids),
    }
    for modality, (embedding, item_ids) in items.items():
        finite = np.isfinite(embedding).all(axis=(0, 2))
        write_shard(
            paths[modality],
            embedding.astype(np.float32, copy=False),
            item_ids,
            valid=finite if on_error == "skip" else np.ones_like(finite),
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
    arrays = _read_npz(path)
    image, text = arrays["image"], arrays["text"]
    n_images, n_captions = image.shape[1], text.shape[1]
    if "image_of_caption" in arrays:
        image_of_caption = arrays["image_of_caption"]
    elif n_images == n_captions:
        image_of_caption = np.arange(n_images)
    else:
        raise OvertopError(f"{path}: {n_images} images, {n_captions} captions and no array `image_of_caption`")
    outside = (image_of_caption < 0) | (image_of_caption >= n_images)
    if image_of_caption.shape != (n_captions,) or outside.any():
        raise OvertopError(
            f"{path}: image_of_caption must give each of {n_captions} captions an image 0..{n_images - 1}"
        )
    image_ids = arrays.get("filenames", np.arange(n_images).astype(str)).tolist()
    frame = _number_captions([image_ids[i] for i in image_of_caption])
    frame["caption"] = arrays["captions"].tolist() if "captions" in arrays else frame["caption_id"]
    return _order_by_image(frame, image_ids, image, text)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file that are used, converted to the expected types, embeddings as (S, n, D)."""
    try:
        arrays = np.load(path, allow_pickle=False)
        names = set(arrays.files)
        if not {"image", "text"} <= names:
            raise OvertopError(f"{path}: has arrays {', '.join(sorted(names))}; it needs `image` and `text`")
        result = {key: _add_sample_axis(path, key, arrays[key]) for key in ("image", "text")}
        types = {"image_of_caption": np.int64, "filenames": str, "captions": str}
        return result | {key: arrays[key].astype(dtype) for key, dtype in types.items() if key in names}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise OvertopError(f"{path}: cannot be read without pickle ({error}); save plain numeric arrays") from error


def _add_sample_axis(path: Path, key: str, array: np.ndarray) -> np.ndarray:
    """Embeddings as (S, n, D)."""
    if array.ndim not in (2, 3):
        raise OvertopError(f"{path}: array `{key}` has shape {array.shape}; it must be (n, D) or (S, n, D)")
    return array[None] if array.ndim == 2 else array


def _load_clip_retrieval(folder: Path) -> ImportedEmbeddings:
    image, text = (
        np.concatenate([np.load(path, allow_pickle=False) for path in _list_parts(folder / kind, f"{kind}_*.npy")])
        for kind in ("img_emb", "text_emb")
    )
    metadata = pd.concat(map(pd.read_parquet, _list_parts(folder / "metadata", "*.parquet")), ignore_index=True)
    missing = {"image_path", "caption"} - set(metadata.columns)
    if missing:
        raise OvertopError(f"{folder / 'metadata'}: column {sorted(missing)[0]!r} is missing; write it for every pair")
    if not len(image) == len(text) == len(metadata):
        raise OvertopError(
            f"{folder}: {len(image)} image rows, {len(text)} text rows, {len(metadata)} metadata rows; "
            "all three must come from one run"
        )
    frame = _number_captions(metadata["image_path"])
    frame["caption"] = metadata["caption"]
    first = frame.drop_duplicates("image_id")
    return _order_by_image(frame, list(first["image_id"]), image[None, first["row"]], text[None])


def _list_parts(folder: Path, pattern: str) -> list[Path]:
    """The numbered files of a folder in numerical order."""
    files = sorted(folder.glob(pattern), key=lambda path: (len(path.name), path.name))
    if not files:
        raise OvertopError(f"{folder}: has no {pattern}; complete the folder")
    return files


def _load_shards(folder: Path) -> ImportedEmbeddings:
    split = read_split(folder / "split.parquet")
    embedding = {}
    for modality, expected_ids in (("image", split.image_ids), ("text", split.caption_ids)):
        arrays, _ = read_arrays(folder / f"{modality}.h5", SCHEMA)
        embedding[modality] = arrays["embedding"]
        if decode_strings(arrays["item_id"]) != expected_ids:
            raise OvertopError(
                f"{folder / modality}.h5: its items are not those of split.parquet in the same order; write both again"
            )
    return ImportedEmbeddings(split, embedding["image"], embedding["text"])


def _number_captions(image_ids: Sequence[str] | pd.Series) -> pd.DataFrame:
    """One row per caption: its row of the embeddings, its image, and an id made of the image and a number."""
    frame = pd.DataFrame({"row": np.arange(len(image_ids)), "image_id": image_ids, "image_path": ""})
    frame["caption_id"] = frame["image_id"] + "#" + frame.groupby("image_id").cumcount().astype(str)
    return frame


def _order_by_image(
    frame: pd.DataFrame, image_ids: list[str], image: np.ndarray, text: np.ndarray
) -> ImportedEmbeddings:
    """The split of a table of captions, and the embeddings in its order.

    Args:
        frame: one row per caption, in any order: the columns of a split, and `row`, its row in `text`.
        image_ids: the N images, in the order of `image`.
        image: (S, N, D).
        text: (S, M, D).
    """
    if len(set(image_ids)) < len(image_ids):
        raise OvertopError("image names occur more than once; they must be unique")
    position = {image_id: i for i, image_id in enumerate(image_ids)}
    frame = frame.iloc[np.argsort(frame["image_id"].map(position), kind="stable")]
    without_caption = sorted(set(image_ids) - set(frame["image_id"]))
    if without_caption:
        raise OvertopError(f"image {without_caption[0]!r} has no caption; give it one or remove it")
    return ImportedEmbeddings(split_from_frame(frame), image, text[:, frame["row"].to_numpy()])
