"""Recall@1 of a trained encoder on a validation split."""

import logging
from pathlib import Path

import numpy as np

from overtop.encoders.embedding import embed_images, embed_texts
from overtop.encoders.loading import Encoder
from overtop.encoders.sampling import Sampling
from overtop.retrieval.exact import rank
from overtop.retrieval.relevance import best_rank, positives_matrix
from overtop.storage.shards import ArraySource
from overtop.storage.split import Split
from overtop.terms import DIRECTIONS

_LOG = logging.getLogger(__name__)


def encoder_recall(encoder: Encoder, split: Split, data: str | Path) -> dict[str, float]:
    """Recall@1 of an encoder; see `embedding_recall`.

    Args:
        encoder: a loaded encoder.
        split: images and captions.
        data: the data folder, which image paths are relative to.
    """
    paths = [Path(data) / path for path in split.image_paths]
    images = embed_images(encoder, paths, Sampling(), seed=0).embedding[0]
    texts = embed_texts(encoder, split.captions, Sampling(), seed=0).embedding[0]
    return embedding_recall(images, texts, split)


def embedding_recall(images: np.ndarray, texts: np.ndarray, split: Split) -> dict[str, float]:
    """Recall@1 with labelled positives of each direction, and of t2i for each caption level of the split.

    Args:
        images: embeddings (N, D) of the split's images.
        texts: embeddings (M, D) of its captions.
        split: which captions belong to which images.

    Returns:
        Recalls by `t2i`, `i2t` and, if the split has levels, `t2i LEVEL`.
    """
    rankings = rank(
        ArraySource([images], split.image_ids), ArraySource([texts], split.caption_ids), top=1, vote_top=1, device="cpu"
    )
    hits = {}
    for direction, ranking in rankings.items():
        positives = positives_matrix(split, direction, ranking, extended=False)
        hits[direction] = best_rank(ranking.top_ids, positives) == 1
    recalls = {str(direction): float(hits[direction].mean()) for direction in DIRECTIONS}
    levels = np.array(split.levels or [])
    for level in dict.fromkeys(split.levels or []):
        recalls[f"t2i {level}"] = float(hits["t2i"][levels == level].mean())
    return recalls


def log_recalls(name: str, recalls: dict[str, float]) -> None:
    """Log the validation recalls of the encoder `name`."""
    _LOG.info("%s: R@1 on validation: %s", name, ", ".join(f"{key} {value:.3f}" for key, value in recalls.items()))
