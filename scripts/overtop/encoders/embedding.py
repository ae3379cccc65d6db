"""Embeddings of images and captions: S samples of each, with every image decoded only once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from overtop.encoders import shortcuts
from overtop.encoders.decoding import decode_batches
from overtop.encoders.loading import Encoder
from overtop.encoders.passes import FULL_PRECISION, ComputeOptions, open_tower
from overtop.encoders.prompts import average_prompts, list_prompts
from overtop.encoders.sampling import Sampling
from overtop.progress import Progress, no_progress
from overtop.seeds import derive_seed
from overtop.storage.shards import shard_slice
from overtop.storage.split import Split
from overtop.terms import Modality, OnError


@dataclass(frozen=True)
class EmbeddingBatch:
    """S samples of the embeddings of n items.

    Attributes:
        embedding: float32 (S, n, D), un-normalised; NaN rows for skipped items.
        valid: bool (n,), False for items that could not be read and were skipped.
        dropout: what dropout was enabled in this tower, in words; `none` without.
        n_truncated: number of captions longer than the context, whose end was cut off; 0 for images.
    """

    embedding: np.ndarray
    valid: np.ndarray
    dropout: str
    n_truncated: int = 0


def embed_images(
    encoder: Encoder,
    paths: Sequence[str | Path],
    sampling: Sampling,
    seed: int,
    batch_size: int = 64,
    *,
    on_error: OnError = "fail",
    options: ComputeOptions = FULL_PRECISION,
    progress: Progress = no_progress,
) -> EmbeddingBatch:
    """Embed images.

    The same arguments on the same machine give the same bytes. The masks of pass p over batch b have the seed
    `derive_seed(seed, p, b)`, whatever other passes there are, and an item's masks depend on its position in the batch.
    A batch that does not fit into memory is run in parts, with the same masks.

    Args:
        encoder: a loaded encoder.
        paths: n image files.
        sampling: one deterministic pass, or S passes with dropout.
        seed: seed of the masks; unused without dropout.
        batch_size: images in one forward pass.
        on_error: what happens when an image cannot be read.
        options: how the network is run.
        progress: called after each batch with the number of images done, and n.

    Raises:
        OvertopError: an image cannot be read, and `on_error` is `fail`; or not even one image fits into memory.
    """
    batches = [paths[start : start + batch_size] for start in range(0, len(paths), batch_size)]
    embedding = np.full((sampling.passes, len(paths), encoder.widths["image"]), np.nan, dtype=np.float32)
    valid = np.zeros(len(paths), dtype=bool)
    with open_tower(encoder, "image", sampling, seed, batch_size, options) as tower:
        for number, (pixels, readable) in enumerate(decode_batches(encoder, batches, on_error, options.readers)):
            start = number * batch_size
            positions = np.flatnonzero(readable)
            if positions.size:
                embedding[:, start + positions] = tower.embed(pixels, positions, number)
                valid[start + positions] = True
            progress(start + len(readable), len(paths))
        return EmbeddingBatch(embedding, valid, tower.dropout)


def embed_texts(
    encoder: Encoder,
    captions: Sequence[str],
    sampling: Sampling,
    seed: int,
    batch_size: int = 256,
    *,
    options: ComputeOptions = FULL_PRECISION,
    progress: Progress = no_progress,
) -> EmbeddingBatch:
    """Embed captions; the arguments are those of `embed_images`.

    If the tokens after a caption's end need not be computed, captions of similar length are batched together and cut to
    the longest of the batch. Without dropout equal captions are embedded once. The result has the order of `captions`.
    """
    tokens, n_truncated = encoder.tokenize(list(captions))
    row_of_caption, copies = None, np.ones(len(tokens), dtype=np.int64)
    if sampling.is_deterministic and len(tokens):
        tokens, row_of_caption, copies = _unique_rows(tokens)
    counts = shortcuts.token_counts(encoder.model, tokens)
    order = np.arange(len(tokens)) if counts is None else np.argsort(counts, kind="stable")
    embedding = np.empty((sampling.passes, len(tokens), encoder.widths["text"]), dtype=np.float32)
    done = 0
    with open_tower(encoder, "text", sampling, seed, batch_size, options) as tower:
        for number, start in enumerate(range(0, len(tokens), batch_size)):
            rows = order[start : start + batch_size]
            # A compiled graph would be compiled anew for every length.
            context = tokens.shape[1] if counts is None or tower.is_compiled else int(counts[rows].max())
            with shortcuts.shortened_context(encoder.model, context):
                embedding[:, rows] = tower.embed(tokens[rows, :context], np.arange(len(rows)), number)
            done += int(copies[rows].sum())
            progress(done, len(captions))
        if row_of_caption is not None:
            embedding = embedding[:, row_of_caption]
        return EmbeddingBatch(embedding, np.ones(len(captions), dtype=bool), tower.dropout, n_truncated)


def _unique_rows(tokens: torch.Tensor) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """The distinct rows of `tokens`, the index of each row among them, and how often each of them occurs."""
    distinct, inverse, counts = tokens.unique(dim=0, return_inverse=True, return_counts=True)
    return distinct, inverse.numpy(), counts.numpy()


def embed_classes(
    encoder: Encoder,
    names: Sequence[str],
    templates: Sequence[str],
    sampling: Sampling,
    seed: int,
    batch_size: int = 256,
    *,
    options: ComputeOptions = FULL_PRECISION,
    progress: Progress = no_progress,
) -> EmbeddingBatch:
    """Embed classes: the unit embeddings of a class's prompts are averaged and normalised again, in each sample.

    This is the zero-shot classifier of CLIP (Radford et al. 2021, section 3.1.4).

    Args:
        encoder: a loaded encoder.
        names: C class names.
        templates: T prompts, in which `{c}` stands for the class name.
        sampling: as for `embed_texts`.
        seed: as for `embed_texts`.
        batch_size: prompts in one forward pass.
        options: as for `embed_texts`.
        progress: called after each batch with the number of prompts done, and C x T.

    Returns:
        Unit embeddings (S, C, D). All S x C x T embeddings of prompts are in memory; more text shards need less.
    """
    prompts = list_prompts(names, templates)
    batch = embed_texts(encoder, prompts, sampling, seed, batch_size, options=options, progress=progress)
    classes = average_prompts(batch.embedding, len(templates))
    return replace(batch, embedding=classes, valid=np.ones(len(names), dtype=bool))


@dataclass(frozen=True)
class ShardKey:
    """The items of one shard of a split.

    Attributes:
        modality: images, or captions or classes.
        number: index of the shard.
        count: number of shards into which the items are divided evenly.
    """

    modality: Modality
    number: int
    count: int

    def mask_seed(self, seed: int, encoder: str, sampling: Sampling) -> int:
        """The seed of the shard's masks.

        The number of passes has no influence: the first passes of a longer run equal those of a shorter one.
        """
        return derive_seed(seed, encoder, sampling.rate, self.modality, self.number, self.count)


def embed_shard(
    encoder: Encoder,
    split: Split,
    key: ShardKey,
    sampling: Sampling,
    seed: int,
    batch_size: int,
    *,
    data: str | Path,
    on_error: OnError = "fail",
    options: ComputeOptions = FULL_PRECISION,
    progress: Progress = no_progress,
) -> tuple[EmbeddingBatch, list[str]]:
    """Embed the items of one shard. Classes are embedded by `embed_classes`.

    Args:
        encoder: a loaded encoder.
        split: images, and captions or classes.
        key: which of them.
        sampling: one deterministic pass, or S passes with dropout.
        seed: seed of the run; the seed of the shard's masks is derived from it.
        batch_size: items in one forward pass.
        data: the data folder, which image paths are relative to.
        on_error: what happens when an image cannot be read.
        options: how the network is run.
        progress: called after each batch with the number of items done and the number of all.

    Returns:
        The embeddings, and the names of their items; none if the split has no such items.

    Raises:
        OvertopError: as `embed_images`.
    """
    mask_seed = key.mask_seed(seed, encoder.name, sampling)
    item_ids = split.image_ids if key.modality == "image" else split.caption_ids
    rows = shard_slice(len(item_ids), key.number, key.count)
    if rows.start == rows.stop:
        batch = _embed_nothing(encoder, key.modality, sampling)
    elif key.modality == "image":
        paths = [Path(data) / path for path in split.image_paths[rows]]
        batch = embed_images(
            encoder, paths, sampling, mask_seed, batch_size, on_error=on_error, options=options, progress=progress
        )
    elif split.templates is None:
        texts = split.captions[rows]
        batch = embed_texts(encoder, texts, sampling, mask_seed, batch_size, options=options, progress=progress)
    else:
        classes, templates = split.captions[rows], split.templates
        batch = embed_classes(
            encoder, classes, templates, sampling, mask_seed, batch_size, options=options, progress=progress
        )
    return batch, item_ids[rows]


def _embed_nothing(encoder: Encoder, modality: Modality, sampling: Sampling) -> EmbeddingBatch:
    with open_tower(encoder, modality, sampling, 0, 1, FULL_PRECISION) as tower:
        embedding = np.empty((sampling.passes, 0, encoder.widths[modality]), dtype=np.float32)
        return EmbeddingBatch(embedding, np.empty(0, dtype=bool), tower.dropout)
