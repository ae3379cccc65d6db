"""Embeddings in the files that other programs write, opened as an `EmbeddingSource` without reading them whole.

Arrays in `.npy` files are memory-mapped, so that a gallery of millions of items takes no memory until it is read. No
file is ever unpickled.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from overtop.errors import OvertopError
from overtop.storage.foreign_tables import column_names, read_columns
from overtop.storage.numpy_files import as_texts, map_array, open_npz
from overtop.storage.shards import ArraySource, EmbeddingSource, ShardSource
from overtop.terms import MODALITIES, Modality

PARTS_FOLDERS: dict[str, Modality] = {"img_emb": "image", "text_emb": "text"}
"""Folders of clip-retrieval that hold parts, and their modality."""

ID_COLUMNS: dict[Modality, str] = {"image": "image_path", "text": "caption"}
"""Column of clip-retrieval's metadata that names the items."""

ID_ARRAYS: dict[Modality, str] = {"image": "filenames", "text": "captions"}
"""Array of an .npz file that names the items."""

GALLERY_FACTS = "gallery.json"
"""File of the folder of a prepared gallery, whose unit vectors are not to be taken for embeddings of all its items."""

SUFFIXES = (".npy", ".npz", ".h5")
"""Suffixes of files of embeddings."""

_FORMATS = "a .npy, .npz or .h5 file, or a folder of .npy or .h5 files"


def open_embeddings(
    path: str | Path, *, modality: Modality | None = None, ids: Sequence[str] | None = None
) -> EmbeddingSource:
    """Open the embeddings in a file or a folder.

    - `.npy`: an array (n, D), or (S, n, D) for S samples of a posterior, float16, float32 or float64.
    - `.npz`: the array `image` or `text`, or the only embeddings in the file; names in `filenames` or `captions`.
    - `.h5`: a shard of our own.
    - a folder of `.npy` parts, in numerical order, or of all shards of one posterior (`image-0of2.h5`, ...).
    - a folder of clip-retrieval: `img_emb` or `text_emb`, or the one that contains them together with `modality`; names
      from the columns `image_path` or `caption` of `metadata/*.parquet`.

    Where names are not stored, items are named by their row number.

    Args:
        path: the file or folder.
        modality: which embeddings to use where there are images and texts.
        ids: n names of the items instead of the stored ones.

    Raises:
        OvertopError: the path does not exist, has another format, is damaged, empty or ambiguous, or the names do not
            match the embeddings.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder) / "gallery.npy", np.eye(3, dtype=np.float16))
        ...     source = open_embeddings(Path(folder) / "gallery.npy", ids=["cat", "dog", "cow"])
        ...     print(source.item_ids, source.dims, source.read(0, 1, 2).tolist())
        ['cat', 'dog', 'cow'] (3,) [[0.0, 1.0, 0.0]]
    """
    path = Path(path)
    if path.is_dir():
        source = _open_folder(path, modality)
    elif not path.is_file():
        raise OvertopError(f"{path}: no such file or folder; give {_FORMATS}")
    elif path.suffix == ".npy":
        source = ArraySource(list(_with_sample_axis(path, map_array(path))))
    elif path.suffix == ".npz":
        source = _open_npz(path, modality)
    elif path.suffix == ".h5":
        source = ShardSource([[path]])
    else:
        raise OvertopError(f"{path}: embeddings are not read from {path.suffix or 'such'} files; give {_FORMATS}")
    if not source.n_items:
        raise OvertopError(f"{path}: contains no embeddings; write at least one row")
    return source if ids is None else _with_ids(path, source, ids)


class PartsSource:
    """An `EmbeddingSource` of consecutive parts, each an array (S, n, D).

    Args:
        parts: at least one; all of the same S and D.
        item_ids: names of the items of all parts; by default the row numbers.
    """

    def __init__(self, parts: Sequence[np.ndarray], item_ids: Sequence[str] | None = None) -> None:
        self._parts = list(parts)
        self._bounds = np.cumsum([0, *(part.shape[1] for part in parts)])
        self.item_ids = list(item_ids) if item_ids is not None else _row_numbers(int(self._bounds[-1]))
        self.n_items = len(self.item_ids)
        self.n_samples = parts[0].shape[0]
        self.dims = (parts[0].shape[2],) * self.n_samples

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        """Un-normalised float32 embeddings of the items `start` to `stop`: (stop - start, D of that sample)."""
        first = min(int(np.searchsorted(self._bounds, start, side="right")), len(self._parts)) - 1
        last = max(first + 1, int(np.searchsorted(self._bounds, stop)))
        pieces = [
            part[sample, max(0, start - offset) : max(0, stop - offset)]
            for part, offset in zip(self._parts[first:last], self._bounds[first:last].tolist(), strict=True)
        ]
        return np.concatenate(pieces).astype(np.float32, copy=False) if len(pieces) > 1 else _as_float32(pieces[0])


class _RenamedSource:
    """Another source with other names."""

    def __init__(self, source: EmbeddingSource, item_ids: list[str]) -> None:
        self._source, self.item_ids, self.dims = source, item_ids, source.dims
        self.n_samples, self.n_items = source.n_samples, source.n_items

    def read(self, sample: int, start: int, stop: int) -> np.ndarray:
        return self._source.read(sample, start, stop)


def _with_ids(path: Path, source: EmbeddingSource, ids: Sequence[str]) -> EmbeddingSource:
    if len(ids) != source.n_items:
        raise OvertopError(f"{path}: has {source.n_items} embeddings, but {len(ids)} names are given; give one of each")
    return _RenamedSource(source, [str(name) for name in ids])


def holds_embeddings(folder: Path) -> bool:
    """Whether `open_embeddings` finds embeddings in a folder, by the names of its files."""
    is_parent = any((folder / name).is_dir() for name in PARTS_FOLDERS)
    return is_parent or any(folder.glob("*.npy")) or any(folder.glob("*.h5"))


def _open_folder(folder: Path, modality: Modality | None) -> EmbeddingSource:
    if (folder / GALLERY_FACTS).is_file():
        raise OvertopError(f"{folder}: is a prepared gallery; give it as the gallery, or the embeddings it was made of")
    inner = {PARTS_FOLDERS[name]: folder / name for name in PARTS_FOLDERS if (folder / name).is_dir()}
    if inner:
        return _open_parts(inner[_choose(folder, modality, list(inner))], folder / "metadata")
    if any(folder.glob("*.npy")):
        return _open_parts(folder, folder.parent / "metadata" if folder.name in PARTS_FOLDERS else None)
    shards = list(folder.glob("*.h5"))
    if shards:
        by_modality = {name: [path for path in shards if path.stem.startswith(name)] for name in MODALITIES}
        present: list[Modality] = [name for name, paths in by_modality.items() if paths]
        return ShardSource([in_numerical_order(by_modality[_choose(folder, modality, present)] if present else shards)])
    raise OvertopError(f"{folder}: contains no embeddings; give {_FORMATS}")


def _choose(path: Path, modality: Modality | None, present: Sequence[Modality]) -> Modality:
    """Return the modality to use; that of the file if it has one only."""
    if modality is None and len(present) == 1:
        return present[0]
    if modality is None:
        raise OvertopError(
            f"{path}: contains images and texts; name the modality, image or text "
            "(the command overtop: --direction t2i or --direction i2t)"
        )
    if modality not in present:
        raise OvertopError(f"{path}: contains no embeddings of modality {modality}; it has {', '.join(present)}")
    return modality


def _open_parts(folder: Path, metadata: Path | None) -> EmbeddingSource:
    """Open the parts of a folder, with the names in the folder of metadata if there is one."""
    paths = in_numerical_order(folder.glob("*.npy"))
    if not paths:
        raise OvertopError(f"{folder}: has no .npy parts; complete the folder")
    parts = [_with_sample_axis(path, map_array(path)) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if part.shape[::2] != parts[0].shape[::2]:
            raise OvertopError(
                f"{path}: has samples and dimensions {part.shape[::2]}, but {paths[0].name} has {parts[0].shape[::2]}; "
                "keep the parts of one run in a folder"
            )
    ids = None if metadata is None else _read_metadata(metadata, PARTS_FOLDERS[folder.name])
    rows = sum(part.shape[1] for part in parts)
    if ids is not None and len(ids) != rows:
        raise OvertopError(f"{folder}: {rows} embeddings, but {metadata} has {len(ids)} rows; both must be of one run")
    return PartsSource(parts, ids)


def _read_metadata(folder: Path, modality: Modality) -> list[str] | None:
    """Return the names of the items; None if they are not stored."""
    column, names = ID_COLUMNS[modality], []
    for path in in_numerical_order(folder.glob("*.parquet")):
        if column not in column_names(path):
            return None
        names += read_columns(path, [column])[column].tolist()
    return names or None


def _open_npz(path: Path, modality: Modality | None) -> EmbeddingSource:
    """Open the embeddings in an .npz file, which are read as a whole."""
    with open_npz(path) as file:
        named: list[Modality] = [name for name in MODALITIES if name in file.names]
        if named:
            used: Modality | None = _choose(path, modality, named)
            array = file.read(str(used))
        else:
            candidates = [name for name in file.names if file.ndim(name) in (2, 3)]
            if len(candidates) != 1:
                raise OvertopError(
                    f"{path}: has {len(candidates)} arrays that could be embeddings "
                    f"({', '.join(candidates) or 'none'}); name one of them `image` or `text`"
                )
            used, array = modality, file.read(candidates[0])
        keys = [ID_ARRAYS[used]] if used is not None else list(ID_ARRAYS.values())
        names = [as_texts(f"{path}: array `{key}`", file.read(key)) for key in keys if key in file.names]
    source = ArraySource(list(_with_sample_axis(path, array)))
    return source if not names else _with_ids(path, source, names[0].tolist())


def _with_sample_axis(path: Path, array: np.ndarray) -> np.ndarray:
    """Return embeddings as (S, n, D), without reading them.

    Raises:
        OvertopError: the array is not embeddings.
    """
    if array.ndim not in (2, 3) or 0 in (array.shape[-1], *array.shape[:-2]):
        raise OvertopError(f"{path}: has shape {array.shape}; embeddings are (n, D), or (S, n, D) for S samples")
    if array.dtype.kind != "f":
        raise OvertopError(f"{path}: has dtype {array.dtype}; embeddings are float16, float32 or float64")
    return array if array.ndim == 3 else array[None]


def in_numerical_order(paths: Iterable[Path]) -> list[Path]:
    """Sort paths by name, with the numbers in it as numbers: part_2 comes before part_10."""
    return sorted(paths, key=lambda path: [(int(n or 0), text) for text, n in re.findall(r"(\D*)(\d*)", path.name)])


def _row_numbers(count: int) -> list[str]:
    return [str(row) for row in range(count)]


def _as_float32(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, dtype=np.float32)
