"""The provenance of a ranking: which embeddings it was computed from."""

from overtop.storage.shards import ShardSource

FURTHER_PASSES = "+"
"""Marks the sampling of further passes of the encoder before, in the provenance of shards."""


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
