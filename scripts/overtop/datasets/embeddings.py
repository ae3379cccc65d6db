"""Embeddings that others made: scored without any encoder.

Three forms are understood, told apart by what the source holds:

- an `.npz` file with `image` and `text`, each (n, D) or (S, n, D) for S samples of a posterior; optional
  `image_of_caption` (M,), `filenames` (N,) and `captions` (M,). Without `image_of_caption` row i belongs to row i.
- a folder as clip-retrieval writes it: `img_emb/img_emb_*.npy`, `text_emb/text_emb_*.npy`, `metadata/*.parquet` with
  `image_path` and `caption`, one row per pair.
- a folder with `image.h5` and `text.h5` in the layout of our shards, and `split.parquet` as our `split` rule writes it.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from overtop.config.datasets import EmbeddingsDataset
from overtop.datasets.raw import Context, copy_into, keep_only, locate, no_split
from overtop.errors import OvertopError
from overtop.storage.arrays import decode, read_arrays
from overtop.storage.shards import SCHEMA
from overtop.storage.split import Split, from_rows, read_split


@dataclass(frozen=True)
class Imported:
    """A split with its embeddings.

    Attributes:
        split: which caption belongs to which image.
        image: (S, N, D) samples of the image embeddings, un-normalised.
        text: (S, M, D) samples of the caption embeddings.
    """

    split: Split
    image: np.ndarray
    text: np.ndarray


def fetch(name: str, spec: EmbeddingsDataset, split: str, raw: Path, context: Context) -> None:
    """Copy the split's file, or what its folder holds, into `raw`."""
    if split not in spec.splits:
        raise no_split(split, f"datasets.{name}.splits", spec.splits)
    place = locate(name, spec.splits[split], context.mirror)
    if place.is_file():
        place, files = place.parent, [place.name]
    else:
        files = [str(path.relative_to(place)) for path in sorted(place.rglob("*")) if path.is_file()]
    copy_into(raw, place, {file: file for file in files})
    keep_only(raw, files)


def read(name: str, spec: EmbeddingsDataset, raw: Path, split: str) -> Split:
    """Who belongs to whom."""
    return load(raw).split


def load(folder: Path) -> Imported:
    """Read the embeddings in a split's raw folder, whatever form they have.

    Raises:
        OvertopError: the form is not known, a shape is wrong, or the pairing is missing.
    """
    files = sorted(folder.glob("*.npz"))
    if len(files) == 1:
        imported = _load_npz(files[0])
    elif (folder / "img_emb").is_dir():
        imported = _load_clip_retrieval(folder)
    elif (folder / "image.h5").is_file():
        imported = _load_shards(folder)
    else:
        raise OvertopError(
            f"{folder}: holds neither one .npz file, nor img_emb/ text_emb/ metadata/, nor image.h5 text.h5 "
            "split.parquet; see README, 'Embeddings you already have'"
        )
    shapes = imported.image.shape, imported.text.shape
    if len(shapes[0]) != 3 or len(shapes[1]) != 3 or (shapes[0][0], shapes[0][2]) != (shapes[1][0], shapes[1][2]):
        raise OvertopError(f"{folder}: image {shapes[0]} and text {shapes[1]} need the same samples S and width D")
    if (shapes[0][1], shapes[1][1]) != (len(imported.split.image_ids), len(imported.split.captions)):
        raise OvertopError(f"{folder}: {shapes[0][1]} image and {shapes[1][1]} text rows do not fit their metadata")
    return imported


def _load_npz(path: Path) -> Imported:
    try:
        arrays = np.load(path, allow_pickle=False)
        names = set(arrays.files)
        if not {"image", "text"} <= names:
            raise OvertopError(f"{path}: has arrays {', '.join(sorted(names))}; it needs `image` and `text`")
        image, text = (_with_samples(arrays[key]) for key in ("image", "text"))
        n_images, n_captions = image.shape[1], text.shape[1]
        if "image_of_caption" in names:
            owner = arrays["image_of_caption"].astype(np.int64)
        elif n_images == n_captions:
            owner = np.arange(n_images)
        else:
            raise OvertopError(f"{path}: {n_images} images, {n_captions} captions and no array `image_of_caption`")
        image_ids = (arrays["filenames"] if "filenames" in names else np.arange(n_images)).astype(str).tolist()
        captions = arrays["captions"].astype(str).tolist() if "captions" in names else None
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise OvertopError(f"{path}: cannot be read without pickle ({error}); save plain numeric arrays") from error
    if owner.shape != (n_captions,) or owner.min() < 0 or owner.max() >= n_images:
        raise OvertopError(
            f"{path}: image_of_caption must give each of {n_captions} captions an image 0..{n_images - 1}"
        )
    frame = pd.DataFrame({"row": np.arange(n_captions), "image_id": [image_ids[i] for i in owner], "image_path": ""})
    frame["caption_id"] = frame["image_id"] + "#" + frame.groupby("image_id").cumcount().astype(str)
    frame["caption"] = captions if captions is not None else frame["caption_id"]
    return _paired(frame, image_ids, image, text)


def _load_clip_retrieval(folder: Path) -> Imported:
    image, text = (
        np.concatenate([np.load(p, allow_pickle=False) for p in _numbered(folder / kind, f"{stem}_*.npy")])
        for kind, stem in (("img_emb", "img_emb"), ("text_emb", "text_emb"))
    )
    metadata = pd.concat([pd.read_parquet(p) for p in _numbered(folder / "metadata", "*.parquet")], ignore_index=True)
    missing = {"image_path", "caption"} - set(metadata.columns)
    if missing:
        raise OvertopError(f"{folder / 'metadata'}: column {sorted(missing)[0]!r} is missing")
    if not len(image) == len(text) == len(metadata):
        raise OvertopError(
            f"{folder}: {len(image)} image rows, {len(text)} text rows, {len(metadata)} metadata rows; "
            "the three must be of one run"
        )
    frame = pd.DataFrame({"row": np.arange(len(text)), "image_id": metadata["image_path"], "image_path": ""})
    frame["caption_id"] = frame["image_id"] + "#" + frame.groupby("image_id").cumcount().astype(str)
    frame["caption"] = metadata["caption"]
    first = frame.drop_duplicates("image_id")
    return _paired(frame, list(first["image_id"]), image[None, first["row"]], text[None])


def _load_shards(folder: Path) -> Imported:
    split = read_split(folder / "split.parquet")
    embedding = {}
    for modality, expected in (("image", split.image_ids), ("text", split.caption_ids)):
        arrays, _ = read_arrays(folder / f"{modality}.h5", SCHEMA)
        embedding[modality] = arrays["embedding"]
        if decode(arrays["item_id"]) != expected:
            raise OvertopError(f"{folder / modality}.h5: its items are not those of split.parquet, in that order")
    return Imported(split, embedding["image"], embedding["text"])


def _paired(frame: pd.DataFrame, image_ids: list[str], image: np.ndarray, text: np.ndarray) -> Imported:
    """Order images and captions as a split does (captions by image), embeddings with them."""
    if len(set(image_ids)) < len(image_ids):
        raise OvertopError("image names occur more than once; they must be unique")
    position = {image_id: i for i, image_id in enumerate(image_ids)}
    frame = frame.iloc[np.argsort(frame["image_id"].map(position), kind="stable")]
    alone = sorted(set(image_ids) - set(frame["image_id"]))
    if alone:
        raise OvertopError(f"image {alone[0]!r} has no caption; give it one or remove it")
    split = from_rows(frame)
    return Imported(split, image, text[:, frame["row"].to_numpy()])


def _with_samples(array: np.ndarray) -> np.ndarray:
    return array[None] if array.ndim == 2 else array


def _numbered(folder: Path, pattern: str) -> list[Path]:
    files = sorted(folder.glob(pattern), key=lambda p: (len(p.name), p.name))
    if not files:
        raise OvertopError(f"{folder}: no {pattern} in it")
    return files
