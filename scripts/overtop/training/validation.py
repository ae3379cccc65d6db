"""Recall@1 of a trained encoder on a validation split."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from overtop.encoders.embedding import embed_images, embed_texts
from overtop.encoders.loading import Encoder
from overtop.encoders.prompts import average_prompts, list_texts
from overtop.encoders.sampling import Sampling
from overtop.errors import OvertopError
from overtop.retrieval.exact import rank
from overtop.retrieval.relevance import best_rank, positives_matrix
from overtop.storage.shards import ArraySource
from overtop.storage.split import Split
from overtop.terms import DIRECTIONS

_LOG = logging.getLogger(__name__)


def split_recalls(encoder: Encoder, splits: Sequence[Split], data: str | Path) -> dict[str, float]:
    """Recall@1 of an encoder on some splits; see `embedding_recall`.

    Args:
        encoder: a loaded encoder.
        splits: images and captions or classes; at most one split of each kind.
        data: the data folder, which image paths are relative to.
    """
    recalls: dict[str, float] = {}
    for split in splits:
        paths = [Path(data) / path for path in split.image_paths]
        images = embed_images(encoder, paths, Sampling(), seed=0).embedding[0]
        texts = embed_texts(encoder, list_texts(split), Sampling(), seed=0).embedding[0]
        recalls |= embedding_recall(images, texts, split)
    return recalls


def embedding_recall(images: np.ndarray, texts: np.ndarray, split: Split) -> dict[str, float]:
    """Recall@1 with labelled positives of each direction, and of t2i for each caption level of the split.

    Args:
        images: embeddings (N, D) of the split's images.
        texts: embeddings (M, D) of its texts, as `list_texts` lists them.
        split: which captions or classes belong to which images.

    Returns:
        Recalls by `t2i`, `i2t` and, if the split has levels, `t2i LEVEL`; of a split of classes only `accuracy`, the
        share of the images whose nearest class is one of their own. Queries without a known match are left out.

    Raises:
        OvertopError: no query has a known match.
    """
    texts = texts if split.templates is None else average_prompts(texts, len(split.templates))
    rankings = rank(
        ArraySource([images], split.image_ids),
        ArraySource([texts], split.caption_ids),
        top=1,
        vote_top=1,
        directions=split.directions,
        device="cpu",
    )
    hits, is_known = {}, {}
    for direction in split.directions:
        positives = positives_matrix(split, direction, rankings[direction], extended=False)
        hits[direction] = best_rank(rankings[direction].top_ids, positives) == 1
        is_known[direction] = np.diff(positives.indptr) > 0
    if split.is_classes:
        return {"accuracy": float(hits["i2t"].mean())}
    if not split.has_image.any():
        raise OvertopError("no image and caption of the validation split are paired; pair them, or name another split")
    recalls = {str(direction): float(hits[direction][is_known[direction]].mean()) for direction in DIRECTIONS}
    levels = np.array(split.levels or [])
    for level in dict.fromkeys(levels[split.has_image].tolist() if split.levels else []):
        recalls[f"t2i {level}"] = float(hits["t2i"][split.has_image & (levels == level)].mean())
    return recalls


def log_recalls(name: str, recalls: dict[str, float]) -> None:
    """Log the validation recalls of the encoder `name`."""
    _LOG.info("%s: R@1 on validation: %s", name, ", ".join(f"{key} {value:.3f}" for key, value in recalls.items()))
