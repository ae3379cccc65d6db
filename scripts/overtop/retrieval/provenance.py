"""The provenance of a ranking: which embeddings it was computed from."""

import hashlib
import json
from pathlib import Path

from overtop.retrieval.normalisation import read_bank
from overtop.storage.shards import ShardSource

FURTHER_PASSES = "+"
"""Marks the sampling of further passes of the encoder before, in the provenance of shards."""

IDENTITY = ("architecture", "checkpoint_sha256", "activation", "preprocessing")
"""Facts of an encoder that determine its embeddings, up to rounding: names and versions of libraries do not."""

LABEL_DIGITS = 12


def embedding_provenance(images: ShardSource, texts: ShardSource) -> dict[str, object]:
    """Return the attributes that describe the embeddings of a ranking in its file and in tables.

    Args:
        images: the shards of the images.
        texts: the shards of the captions.
    """
    return {
        "encoders": [group["encoder"] for group in texts.provenance if FURTHER_PASSES not in group["sampling"]],
        "sampling": [group["sampling"] for group in texts.provenance],
        "samples": texts.n_samples,
        "n_skipped": len(images.skipped) + len(texts.skipped),
        "skipped": images.skipped + texts.skipped,
        "n_truncated": max(group["truncated_captions"] for group in texts.provenance),
    }


def ranking_provenance(images: ShardSource, texts: ShardSource, bank: str | Path | None) -> dict[str, object]:
    """Return the attributes of the file of a ranking: those of its embeddings, and those of its bank if there is one.

    Raises:
        OvertopError: the file of the bank is missing or damaged.
    """
    return embedding_provenance(images, texts) | ({"bank": read_bank(bank)} if bank else {})


def encoder_label(source: ShardSource) -> str | None:
    """Return the names of the encoders of some shards, and a digest of what determines their embeddings.

    Shards have the same label if their embeddings can be compared, whatever data set, split and modality they are of.

    Args:
        source: shards of one posterior.

    Returns:
        Such as `vit-b-32 (1f0c93a4b7d2)`; None if the encoder is unknown, as that of imported embeddings.
    """
    encoders = [group["encoder"] for group in source.provenance]
    if any(key not in encoder for encoder in encoders for key in IDENTITY):
        return None
    identities = [[encoder[key] for key in IDENTITY] for encoder in encoders]
    facts = [identities, [group["sampling"] for group in source.provenance], source.n_samples]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:LABEL_DIGITS]
    return f"{', '.join(dict.fromkeys(encoder['name'] for encoder in encoders))} ({digest})"
