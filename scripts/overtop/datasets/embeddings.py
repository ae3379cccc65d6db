"""Embeddings that were made elsewhere, evaluated without running an encoder.

Four formats are accepted, distinguished by the files of the source:

- an `.npz` file with `image` and `text`, each (n, D) or (S, n, D) for S samples of a posterior; optional
  `image_of_caption` (M,), -1 for captions whose image is unknown, `filenames` (N,) and `captions` (M,). Without
  `image_of_caption`, row i of `text` belongs to row i of `image`. Images may have no caption.
- a `.parquet` file with lists of numbers, one row per pair (`overtop.datasets.parquet_embeddings`).
- a folder as clip-retrieval writes it: `img_emb/img_emb_*.npy`, `text_emb/text_emb_*.npy`, `metadata/*.parquet` with
  `image_path` and `caption`, one row per pair.
- a folder with `image.h5` and `text.h5` in the format of our shards, and `split.parquet` as written by the rule
  `split`.

Rows with the same name of an image are one image.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from overtop.config.datasets import EmbeddingsDataset
from overtop.datasets.held_out import read_part, select_items
from overtop.datasets.imported import ImportedEmbeddings, Origin, pair_embeddings
from overtop.datasets.npz_files import OWNERS, read_npz
from overtop.datasets.parquet_embeddings import COLUMN_OF, read_parquet
from overtop.datasets.raw import FetchContext, copy_into, remove_other_files, resolve_source, unknown_split_error
from overtop.errors import OvertopError
from overtop.storage.arrays import decode_strings, read_arrays
from overtop.storage.embedding_files import in_numerical_order
from overtop.storage.foreign_tables import column_names, read_columns
from overtop.storage.numpy_files import check_real, map_array
from overtop.storage.shard_contents import check_contents
from overtop.storage.shards import SCHEMA
from overtop.storage.split import Split, read_split
from overtop.terms import MODALITIES, Modality


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
    return imported.select(*select_items(imported.split, part))


def load_embeddings(source: Path) -> ImportedEmbeddings:
    """Read the embeddings of a split, in any of the formats.

    Args:
        source: a file, or a folder with one or with those of another format.

    Raises:
        OvertopError: the format is unknown, a shape is wrong, or the pairs are not given.
    """
    if source.is_file():
        imported = _load_npz(source) if source.suffix == ".npz" else _load_parquet(source)
    else:
        imported = _load_folder(source)
    _check_shapes(source, imported)
    return imported


def _load_folder(folder: Path) -> ImportedEmbeddings:
    npz_files, parquet_files = (sorted(folder.glob(f"*.{suffix}")) for suffix in ("npz", "parquet"))
    if len(npz_files) == 1:
        return _load_npz(npz_files[0])
    if (folder / "img_emb").is_dir():
        return _load_clip_retrieval(folder)
    if (folder / "image.h5").is_file():
        return _load_shards(folder)
    if len(parquet_files) == 1:
        return _load_parquet(parquet_files[0])
    raise OvertopError(
        f"{folder}: contains neither one .npz or .parquet file, nor img_emb/ text_emb/ metadata/, nor image.h5 text.h5 "
        "split.parquet; see docs/own-data.md"
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
    return _pair_arrays({name: f"{path}: array `{name}`" for name in MODALITIES}, read_npz(path))


def _load_parquet(path: Path) -> ImportedEmbeddings:
    return _pair_arrays({name: f"{path}: column `{COLUMN_OF[name]}`" for name in MODALITIES}, read_parquet(path))


def _pair_arrays(places: Mapping[Modality, str], arrays: Mapping[str, np.ndarray]) -> ImportedEmbeddings:
    """The embeddings of the arrays that `read_npz` returns."""
    image, text = arrays["image"], arrays["text"]
    image_ids = arrays["filenames"] if "filenames" in arrays else np.arange(image.shape[1]).astype(str)
    return pair_embeddings(places, arrays[OWNERS], image_ids.tolist(), arrays.get("captions"), image=image, text=text)


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
    names, captions = metadata["image_path"].tolist(), metadata["caption"].to_numpy(dtype=object)
    places: dict[Modality, str] = {"image": str(folder / "img_emb"), "text": str(folder / "text_emb")}
    return pair_embeddings(places, np.arange(len(names)), names, captions, image=image[None], text=text[None])


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
    embedding, origins = {}, {}
    modality: Modality
    for modality, expected_ids in (("image", split.image_ids), ("text", split.caption_ids)):
        path = folder / f"{modality}.h5"
        arrays, _ = read_arrays(path, SCHEMA)
        check_contents(path, arrays)
        if decode_strings(arrays["item_id"]) != expected_ids:
            raise OvertopError(f"{path}: its items are not those of split.parquet in the same order; write both again")
        embedding[modality], valid = arrays["embedding"], arrays["valid"]
        origins[modality] = Origin(str(path), np.arange(len(valid)))
        if not valid.all():
            embedding[modality] = np.where(valid[:, None], embedding[modality], np.float32(np.nan))
    return ImportedEmbeddings(split, embedding["image"], embedding["text"], origins)
