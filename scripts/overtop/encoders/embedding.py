"""From images and captions to embeddings: S samples of each, every image decoded and preprocessed once."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from overtop.encoders.compat import open_clip
from overtop.encoders.dropout import attention_dropout
from overtop.encoders.loading import Encoder
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError
from overtop.seeds import derive_seed

Progress = Callable[[int], Any]
"""Called with the number of items just finished, such as a tqdm bar's `update`."""

_LOG = logging.getLogger(__name__)


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
) -> EmbeddingBatch:
    """Embed images.

    The same arguments on the same machine give the same bytes: pass s of batch b draws its masks from
    `derive_seed(seed, s, b)`.

    Args:
        encoder: a loaded encoder.
        paths: n image files.
        sampling: one deterministic pass, or S passes with dropout.
        seed: of the masks; unused without dropout.
        batch_size: images in one forward pass.
        on_error: what an unreadable image does.
        progress: told of every finished batch.

    Raises:
        OvertopError: an image cannot be read, and `on_error` is `fail`.
    """
    batches = [paths[start : start + batch_size] for start in range(0, len(paths), batch_size)]
    embedding = np.full((sampling.passes, len(paths), encoder.widths["image"]), np.nan, dtype=np.float32)
    valid = np.zeros(len(paths), dtype=bool)
    with _dropout(encoder, sampling) as record, ThreadPoolExecutor(1) as pool:
        # One batch is decoded while the one before it runs through the network.
        upcoming = deque([pool.submit(_decode, encoder, batch, on_error) for batch in batches[:1]])
        for number, batch in enumerate(batches):
            pixels, readable = upcoming.popleft().result()
            upcoming.extend(
                pool.submit(_decode, encoder, later, on_error) for later in batches[number + 1 : number + 2]
            )
            rows = number * batch_size + np.flatnonzero(readable)
            if rows.size:
                on_device = pixels.to(encoder.device)
                embedding[:, rows] = _passes(encoder.model.encode_image, on_device, sampling, seed, number)
                valid[rows] = True
            if progress is not None:
                progress(len(batch))
    return EmbeddingBatch(embedding, valid, record["image"])


def embed_texts(
    encoder: Encoder,
    captions: Sequence[str],
    sampling: Sampling,
    seed: int,
    batch_size: int = 256,
    progress: Progress | None = None,
) -> EmbeddingBatch:
    """Embed captions; the arguments are as for `embed_images`.

    Towers that pay for padding (Hugging Face's) get captions of similar length together, cut to the longest of the
    batch. The order of the result is that of `captions`.
    """
    tokens, n_truncated = encoder.tokenize(list(captions))
    lengths = _lengths(encoder, tokens)
    order = np.arange(len(captions)) if lengths is None else np.argsort(lengths, kind="stable")
    embedding = np.empty((sampling.passes, len(captions), encoder.widths["text"]), dtype=np.float32)
    with _dropout(encoder, sampling) as record:
        for number, start in enumerate(range(0, len(captions), batch_size)):
            rows = order[start : start + batch_size]
            batch = tokens[rows] if lengths is None else tokens[rows, : lengths[rows].max()]
            on_device = batch.to(encoder.device)
            embedding[:, rows] = _passes(encoder.model.encode_text, on_device, sampling, seed, number)
            if progress is not None:
                progress(len(rows))
    return EmbeddingBatch(embedding, np.ones(len(captions), dtype=bool), record["text"], n_truncated)


def _lengths(encoder: Encoder, tokens: torch.Tensor) -> np.ndarray | None:
    """The number of tokens of each caption, for towers that mask padding and so need not compute it; else None."""
    tower = getattr(encoder.model, "text", None)
    if not isinstance(tower, open_clip.hf_model.HFTextEncoder):
        return None
    return (tokens != tower.config.pad_token_id).sum(dim=1).numpy()


def _dropout(encoder: Encoder, sampling: Sampling) -> AbstractContextManager[dict[str, str]]:
    if sampling.is_deterministic:
        return nullcontext({"image": "none", "text": "none"})
    return attention_dropout(encoder.model, sampling.rate)


@torch.inference_mode()
def _passes(
    encode: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor, sampling: Sampling, seed: int, number: int
) -> np.ndarray:
    """All S samples of one batch, float32 (S, n, D)."""
    devices = [batch.device] if batch.device.type == "cuda" else []
    found = []
    with torch.random.fork_rng(devices):
        for number_of_pass in range(sampling.passes):
            torch.manual_seed(derive_seed(seed, number_of_pass, number))
            found.append(encode(batch).float().cpu().numpy())
    return np.stack(found)


def _decode(
    encoder: Encoder, paths: Sequence[str | Path], on_error: Literal["fail", "skip"]
) -> tuple[torch.Tensor, np.ndarray]:
    """The readable ones of some images as one batch, and which were readable."""
    pixels, readable = [], np.zeros(len(paths), dtype=bool)
    for i, path in enumerate(paths):
        try:
            pixels.append(read_image(path, encoder.preprocess))
            readable[i] = True
        except OvertopError as error:
            if on_error == "fail":
                raise
            _LOG.warning("skipped: %s", error)
    return torch.stack(pixels) if pixels else torch.empty(0), readable


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
