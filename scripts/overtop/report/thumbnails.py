"""Small versions of images as data URIs."""

import base64
import io
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from overtop.encoders.image_files import decode_image
from overtop.report.document import NO_THUMBNAIL

SIDE = 64
"""Longest side of a thumbnail in pixels."""

QUALITY = 50
"""Quality of its compression by WebP, of 100: a photograph has about 1 kB."""

Ensure = Callable[[Iterable[str]], None]
"""Verifies image files, given relative to the data folder, before they are read."""


class Thumbnails:
    """The thumbnails of a document, each once.

    Attributes:
        uris: data URIs; their positions are the indices that `add` returns.
    """

    def __init__(self, data: Path, threads: int, encoded: dict[str, str] | None = None) -> None:
        """Start without thumbnails.

        Args:
            data: the folder that image paths are relative to.
            threads: number of threads that read images.
            encoded: data URIs by path, from an earlier document; extended by every image that is read.
        """
        self._data, self._threads = data, threads
        self._encoded = {} if encoded is None else encoded
        self._index: dict[str, int] = {}
        self.uris: list[str] = []

    def add(self, paths: Iterable[str], ensure: Ensure) -> dict[str, int]:
        """Add images.

        Args:
            paths: relative to the data folder; empty for an image without a file.
            ensure: verifies those that are read.

        Returns:
            The index of each path; `NO_THUMBNAIL` for the empty path.

        Raises:
            OvertopError: a file is missing or damaged.
        """
        distinct = [path for path in dict.fromkeys(paths) if path]
        unread = [path for path in distinct if path not in self._encoded]
        ensure(unread)
        with ThreadPoolExecutor(self._threads) as pool:
            read = pool.map(encode_thumbnail, [self._data / path for path in unread])
            self._encoded |= zip(unread, read, strict=True)
        for uri in (self._encoded[path] for path in distinct):
            if uri not in self._index:
                self._index[uri] = len(self.uris)
                self.uris.append(uri)
        return {"": NO_THUMBNAIL} | {path: self._index[self._encoded[path]] for path in distinct}


def encode_thumbnail(path: Path) -> str:
    """The data URI of an image file, scaled to fit into `SIDE` x `SIDE` pixels.

    Raises:
        OvertopError: the file is missing or damaged.
    """
    image = decode_image(path).convert("RGB")
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
