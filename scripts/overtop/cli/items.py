"""What queries and galleries are given as: embeddings, a table of texts, a folder of images, a prepared gallery.

The module does not import torch: everything that can be checked without an encoder is checked before one is loaded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from overtop.datasets.images import list_images
from overtop.datasets.texts import SUFFIXES, read_texts
from overtop.errors import OvertopError
from overtop.retrieval.sources import SelectedItems
from overtop.storage.embedding_files import GALLERY_FACTS, holds_embeddings, open_embeddings
from overtop.storage.embedding_files import SUFFIXES as EMBEDDING_SUFFIXES
from overtop.storage.shards import EmbeddingSource
from overtop.terms import Modality

Kind = Literal["embeddings", "prepared", "images", "texts"]
"""What a path contains."""

_FORMS = "embeddings (.npy, .npz, .h5, a folder of .npy parts), texts (.csv, .parquet, .txt) or a folder of images"


@dataclass(frozen=True)
class Items:
    """Queries, or the items of a gallery.

    Attributes:
        option: the command's option that named them, for messages.
        path: what it named.
        kind: what the path contains.
        ids: names; empty for a prepared gallery, which is not opened here.
        contents: texts, or paths of images.
        source: the embeddings, if they are given.
    """

    option: str
    path: Path
    kind: Kind
    ids: Sequence[str] = ()
    contents: Sequence[str] = ()
    source: EmbeddingSource | None = None

    @property
    def place(self) -> str:
        """Option and path, for messages."""
        return f"{self.option} {self.path}"

    @property
    def needs_encoder(self) -> bool:
        """Whether an encoder must make the embeddings."""
        return self.kind in ("images", "texts")

    def select(self, rows: np.ndarray) -> "Items":
        """Return the items of some ascending rows."""
        ids = [self.ids[row] for row in rows]
        if self.source is not None:
            return replace(self, ids=ids, source=SelectedItems(self.source, rows))
        return replace(self, ids=ids, contents=[self.contents[row] for row in rows])


def read_items(option: str, path: Path, modality: Modality | None = None) -> Items:
    """Find out what `path` contains, open embeddings, and read texts and the names of images.

    Args:
        option: the command's option that names the path, for messages.
        path: file or folder.
        modality: which embeddings are used if the path contains those of images and of texts.

    Raises:
        OvertopError: the path does not exist, contains nothing of that sort, or its content is not valid.
    """
    kind = _find_kind(option, path)
    if kind == "texts":
        ids, texts = read_texts(path)
        return Items(option, path, kind, ids, texts)
    if kind == "images":
        names, _ = list_images(path)
        return Items(option, path, kind, names, [str(path / name) for name in names])
    if kind == "embeddings":
        source = open_embeddings(path, modality=modality)
        return Items(option, path, kind, source.item_ids, source=source)
    return Items(option, path, kind)


def _find_kind(option: str, path: Path) -> Kind:
    if not path.exists():
        raise OvertopError(f"{option} {path}: no such file or folder; correct the path")
    if path.is_dir():
        return _find_kind_of_folder(option, path)
    if path.suffix in EMBEDDING_SUFFIXES:
        return "embeddings"
    if path.suffix.lower() in SUFFIXES:
        return "texts"
    raise OvertopError(f"{option} {path}: unknown kind of file; give {_FORMS}")


def _find_kind_of_folder(option: str, folder: Path) -> Kind:
    if (folder / GALLERY_FACTS).is_file():
        return "prepared"
    if holds_embeddings(folder):
        return "embeddings"
    if list_images(folder)[0]:
        return "images"
    raise OvertopError(f"{option} {folder}: the folder has no embeddings and no image; give {_FORMS}")
