"""Embeddings of the texts and images that a command is given, by an encoder that its options name."""

import logging

import numpy as np
import torch

from overtop.cli.items import Items
from overtop.cli.requests import has_weights_file
from overtop.cli.values import EncoderOptions
from overtop.config.encoders import EncoderSpec
from overtop.device import default_device
from overtop.encoders.embedding import EmbeddingBatch, embed_images, embed_texts
from overtop.encoders.loading import Encoder, load_encoder, weights_digest
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError
from overtop.progress import progress_bar

_LOG = logging.getLogger(__name__)

_DIGEST_LENGTH = 12
"""Hexadecimal digits of the weights' digest in a label."""


def load_named_encoder(options: EncoderOptions) -> Encoder:
    """Load the encoder that the options name; `requests.check_encoder` has accepted them.

    Raises:
        OvertopError: the architecture or tag is unknown, or the weights could not be downloaded or do not fit.
    """
    source = "checkpoint" if has_weights_file(options) else "tag"
    spec = EncoderSpec.model_validate({"architecture": options.model, source: options.weights})
    return load_encoder(f"--model {options.model}", spec, device=_find_device(options.device))


def _find_device(name: str | None) -> str:
    """Return the device of that name, or the default one.

    Raises:
        OvertopError: torch has no such device, or this machine has none.
    """
    if name is None:
        return default_device()
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise OvertopError(f"--device {name}: cannot be used ({reason}); use cpu, or cuda with a GPU") from error
    return name


def encoder_label(encoder: Encoder) -> str:
    """Return architecture and digest of everything that determines embeddings, but no version of a library.

    Weights with the same content have the same label, whether they come from a file or from a tag.
    """
    facts = encoder.provenance
    digest = weights_digest(encoder.model)[:_DIGEST_LENGTH]
    return f"{facts['architecture']} {digest} {facts['activation']} {facts['preprocessing'][:_DIGEST_LENGTH]}"


def embed_items(encoder: Encoder, items: Items, options: EncoderOptions) -> tuple[Items, np.ndarray]:
    """Embed texts or images.

    Args:
        encoder: the encoder.
        items: texts or images.
        options: batch size, and what happens with images that cannot be read.

    Returns:
        The items that could be read, and their un-normalised float32 embeddings (n, D).

    Raises:
        OvertopError: an image cannot be read, and may not be skipped; or none can be read.
    """
    noun = items.option.lstrip("-")
    with progress_bar(f"embed {noun}", "image" if items.kind == "images" else "text") as progress:
        if items.kind == "images":
            batch = embed_images(
                encoder, items.contents, Sampling(), 0, options.batch_size,
                on_error=options.on_error, progress=progress,
            )  # fmt: skip
        else:
            batch = embed_texts(encoder, items.contents, Sampling(), 0, options.batch_size, progress=progress)
    _report(items, batch)
    rows = np.flatnonzero(batch.valid)
    if not rows.size:
        raise OvertopError(f"{items.place}: none of the {len(items.ids)} images can be read; check the files")
    return items.select(rows), batch.embedding[0, rows]


def _report(items: Items, batch: EmbeddingBatch) -> None:
    if batch.n_truncated:
        _LOG.warning(
            "%s: %d texts are longer than the encoder reads; their ends are ignored", items.place, batch.n_truncated
        )
    n_skipped = int((~batch.valid).sum())
    if n_skipped:
        _LOG.warning("%s: %d of %d images could not be read and were left out", items.place, n_skipped, len(items.ids))
