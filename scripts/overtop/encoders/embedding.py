"""From images and captions to embeddings: S samples of each, every image decoded and preprocessed once."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from overtop.encoders import shortcuts
from overtop.encoders.dropout import NONE, attention_dropout
from overtop.encoders.loading import Encoder
from overtop.encoders.masks import Masks
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError
from overtop.seeds import derive_seed

Progress = Callable[[int], Any]
"""Called with the number of items just finished, such as a tqdm bar's `update`."""
Modality = Literal["image", "text"]

_AHEAD = 2
"""Batches that are decoded before the network asks for them."""
_CORES_PER_READER = 8
"""Decoding a photograph costs a CPU about a tenth of what its pass through ViT-B/32 does."""
_MIXED = {"bf16": torch.bfloat16, "fp16": torch.float16}
_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Compute:
    """How a network is run.

    Attributes:
        precision: full, or automatic mixed precision; embeddings are float32 in any case.
        compile: `torch.compile` without dropout on a GPU. Masks and compiled graphs do not go together, and on a CPU
            the compiled ViT-B/32 was a sixth slower than the plain one.
    """

    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False


FULL = Compute()


@dataclass(frozen=True)
class EmbeddingBatch:
    """S samples of the embeddings of n items.

    Attributes:
        embedding: float32 (S, n, D), un-normalised; NaN rows where an item was skipped.
        valid: bool (n,), False where an item could not be read and was skipped.
        dropped: what dropout was on in this tower, in words; `none` without.
        n_truncated: captions longer than the context, which lost their end; 0 for images.
    """

    embedding: np.ndarray
    valid: np.ndarray
    dropped: str
    n_truncated: int = 0


def embed_images(
    encoder: Encoder,
    paths: Sequence[str | Path],
    sampling: Sampling,
    seed: int,
    batch_size: int = 64,
    on_error: Literal["fail", "skip"] = "fail",
    progress: Progress | None = None,
    compute: Compute = FULL,
) -> EmbeddingBatch:
    """Embed images.

    The same arguments on the same machine give the same bytes. Pass p over batch b draws its masks from
    `derive_seed(seed, p, b)`, whatever other passes there are; an item's masks follow from its place in the batch. A
    batch that does not fit into memory is run in parts, with the same masks.

    Args:
        encoder: a loaded encoder.
        paths: n image files.
        sampling: one deterministic pass, or S passes with dropout.
        seed: of the masks; unused without dropout.
        batch_size: images in one forward pass.
        on_error: what an unreadable image does.
        progress: told of every finished batch.
        compute: how the network is run.

    Raises:
        OvertopError: an image cannot be read, and `on_error` is `fail`; or not even one image fits into memory.
    """
    batches = [paths[start : start + batch_size] for start in range(0, len(paths), batch_size)]
    embedding = np.full((sampling.passes, len(paths), encoder.widths["image"]), np.nan, dtype=np.float32)
    valid = np.zeros(len(paths), dtype=bool)
    with _tower(encoder, "image", sampling, seed, batch_size, compute) as tower:
        for number, (pixels, readable) in enumerate(_decoded(encoder, batches, on_error)):
            places = np.flatnonzero(readable)
            if places.size:
                embedding[:, number * batch_size + places] = tower.embed(pixels, places, number)
                valid[number * batch_size + places] = True
            if progress is not None:
                progress(len(readable))
        return EmbeddingBatch(embedding, valid, tower.dropped)


def embed_texts(
    encoder: Encoder,
    captions: Sequence[str],
    sampling: Sampling,
    seed: int,
    batch_size: int = 256,
    progress: Progress | None = None,
    compute: Compute = FULL,
) -> EmbeddingBatch:
    """Embed captions; the arguments are as for `embed_images`.

    Where tokens behind a caption's end need not be computed, captions of similar length go together, cut to the
    longest of the batch. Without dropout equal captions are embedded once. The order of the result is that of
    `captions`.
    """
    tokens, n_truncated = encoder.tokenize(list(captions))
    caption = copies = None
    if sampling.is_deterministic and len(tokens):
        tokens, caption, copies = tokens.unique(dim=0, return_inverse=True, return_counts=True)
    counts = shortcuts.token_counts(encoder.model, tokens)
    order = np.arange(len(tokens)) if counts is None else np.argsort(counts, kind="stable")
    embedding = np.empty((sampling.passes, len(tokens), encoder.widths["text"]), dtype=np.float32)
    with _tower(encoder, "text", sampling, seed, batch_size, compute) as tower:
        for number, start in enumerate(range(0, len(tokens), batch_size)):
            rows = order[start : start + batch_size]
            # Every length would be compiled anew.
            context = tokens.shape[1] if counts is None or tower.compiled else int(counts[rows].max())
            with shortcuts.shortened(encoder.model, context):
                embedding[:, rows] = tower.embed(tokens[rows, :context], np.arange(len(rows)), number)
            if progress is not None:
                progress(len(rows) if copies is None else int(copies[rows].sum()))
        if caption is not None:
            embedding = embedding[:, caption.numpy()]
        return EmbeddingBatch(embedding, np.ones(len(captions), dtype=bool), tower.dropped, n_truncated)


@contextmanager
def _tower(
    encoder: Encoder, modality: Modality, sampling: Sampling, seed: int, batch_size: int, compute: Compute
) -> Iterator["_Tower"]:
    with ExitStack() as stack:
        dropped = NONE
        if not sampling.is_deterministic:
            dropped = stack.enter_context(attention_dropout(encoder.model, sampling.rate))[modality]
        yield _Tower(encoder, modality, sampling, seed, batch_size, compute, dropped)


@dataclass
class _Tower:
    """One tower of an encoder, made ready for all passes; it learns how many items at once fit into memory."""

    encoder: Encoder
    modality: Modality
    sampling: Sampling
    seed: int
    batch_size: int
    compute: Compute
    dropped: str

    def __post_init__(self) -> None:
        self.compiled = self.compute.compile and self.dropped == NONE and self.encoder.device.type == "cuda"
        self._encode = _encode(self.encoder, self.modality, self.compiled)
        self._fits = self.batch_size
        self._to_be_told = False

    def embed(self, batch: torch.Tensor, places: np.ndarray, number: int) -> np.ndarray:
        """All samples of one batch, float32 (S, n, D).

        Args:
            batch: n items, on the CPU.
            places: (n,) of the items in the whole batch.
            number: of the batch.
        """
        found: list[np.ndarray] = []
        start = 0
        while start < len(batch):
            part = slice(start, start + self._fits)
            samples = self._attempt(batch[part], places[part], number)
            if samples is None:
                self._halve(len(batch[part]))
            else:
                self._tell()
                found.append(samples)
                start = part.stop
        return np.concatenate(found, axis=1)

    def _attempt(self, items: torch.Tensor, places: np.ndarray, number: int) -> np.ndarray | None:
        """`_passes`, or None if it does not fit: by then the failed call's tensors are gone."""
        try:
            return self._passes(items, places, number)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
        if self.encoder.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    @torch.inference_mode()
    def _passes(self, items: torch.Tensor, places: np.ndarray, number: int) -> np.ndarray:
        on_device = items.to(self.encoder.device, non_blocking=True)
        with self._autocast():
            if self.dropped == NONE:
                only = self._encode(on_device).float().cpu().numpy()
                return np.broadcast_to(only, (self.sampling.passes, *only.shape))
            first = self.sampling.first
            found = [self._pass(on_device, places, p, number) for p in range(first, first + self.sampling.passes)]
            return torch.stack(found).cpu().numpy()

    def _pass(self, items: torch.Tensor, places: np.ndarray, number_of_pass: int, number: int) -> torch.Tensor:
        with Masks(derive_seed(self.seed, number_of_pass, number), self.batch_size, places) as masks:
            embedding = self._encode(items).float()
        if not masks.drawn:
            raise OvertopError(
                f"MC dropout: {self.dropped} of the {self.modality} tower draws its masks out of reach, so they would "
                "not come again; take another encoder"
            )
        return embedding

    def _autocast(self) -> torch.autocast:
        precision = self.compute.precision
        return torch.autocast(self.encoder.device.type, _MIXED.get(precision), enabled=precision in _MIXED)

    def _halve(self, tried: int) -> None:
        if tried == 1:
            raise OvertopError(
                f"memory: not even one {self.modality} at a time fits on {self.encoder.device}; "
                "take a smaller model, or embedding.precision: bf16"
            )
        self._fits = (tried + 1) // 2
        self._to_be_told = True

    def _tell(self) -> None:
        if self._to_be_told:
            _LOG.warning(
                "memory: batches of %d do not fit on %s, parts of %d do; set embedding.batch_size.%s to that",
                self.batch_size, self.encoder.device, self._fits, self.modality,
            )  # fmt: skip
            self._to_be_told = False


def _encode(encoder: Encoder, modality: Modality, compiled: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    model = encoder.model
    if compiled:
        return torch.compile(model.encode_image if modality == "image" else model.encode_text)
    shortcut = shortcuts.encode_image if modality == "image" else shortcuts.encode_text
    return lambda batch: shortcut(model, batch)


def _is_out_of_memory(error: Exception) -> bool:
    """A GPU has an error of its own for it; a CPU's allocator tells it in words."""
    told = any(words in str(error) for words in _MEMORY)
    return told or isinstance(error, torch.cuda.OutOfMemoryError | MemoryError)


def _decoded(
    encoder: Encoder, batches: Sequence[Sequence[str | Path]], on_error: Literal["fail", "skip"]
) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
    """The readable images of each batch, and which were readable; later batches are decoded while one is used."""
    with ThreadPoolExecutor(_readers(encoder.device)) as readers, ThreadPoolExecutor(1) as pool:
        upcoming = deque(pool.submit(_decode, encoder, batch, on_error, readers) for batch in batches[:_AHEAD])
        for number in range(len(batches)):
            decoded = upcoming.popleft().result()
            for batch in batches[number + _AHEAD : number + _AHEAD + 1]:
                upcoming.append(pool.submit(_decode, encoder, batch, on_error, readers))
            yield decoded


def _readers(device: torch.device) -> int:
    """How many images are decoded at a time: a network on the CPU must keep its cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if device.type == "cuda" else max(1, cores // _CORES_PER_READER)


def _decode(
    encoder: Encoder, paths: Sequence[str | Path], on_error: Literal["fail", "skip"], readers: Executor
) -> tuple[torch.Tensor, np.ndarray]:
    """The readable ones of some images as one batch, and which were readable."""
    pixels, readable = [], np.zeros(len(paths), dtype=bool)
    for i, image in enumerate([readers.submit(read_image, path, encoder.preprocess) for path in paths]):
        try:
            pixels.append(image.result())
            readable[i] = True
        except OvertopError as error:
            if on_error == "fail":
                raise
            _LOG.warning("skipped: %s", error)
    batch = torch.stack(pixels) if pixels else torch.empty(0)
    return batch.pin_memory() if encoder.device.type == "cuda" else batch, readable


def read_image(path: str | Path, preprocess: Callable[[Image.Image], torch.Tensor]) -> torch.Tensor:
    """Decode and preprocess one image file.

    Raises:
        OvertopError: it is missing, damaged, cut short, or no image; the message names it.
    """
    try:
        with Image.open(path) as image:
            return preprocess(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OvertopError(
            f"image {path} cannot be read ({error}); repair or remove it, or set on_error: skip for its data set"
        ) from error
