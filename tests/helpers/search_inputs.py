"""Files of a deployed search with the geometry of CLIP: images and texts in two narrow cones, some queries vague."""

from pathlib import Path

import numpy as np
import pandas as pd

DIMENSION = 64
"""Width of the embeddings."""

SIGNAL = 0.85
"""Length of what an item shows, where the axis of its modality has length 1."""

LARGEST_NOISE = 1.6
"""Length of the noise of the vaguest queries, relative to what their image shows."""


def photos_and_queries(n_items: int, n_queries: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return embeddings of images (N, D), embeddings of queries (Q, D), and the image that each query describes (Q,).

    Images and texts are cones around two axes. A query is the content of its image plus noise, of a length that is
    drawn between 0 and `LARGEST_NOISE`. Images differ in how much they show, so that some are similar to many queries.
    """
    rng = np.random.default_rng(seed)
    axis_of_images, axis_of_texts = np.eye(DIMENSION)[:2]
    content = _unit(rng.normal(size=(n_items, DIMENSION))) * rng.uniform(0.7, 1, size=(n_items, 1))
    target = rng.integers(n_items, size=n_queries)
    noise = _unit(rng.normal(size=(n_queries, DIMENSION))) * rng.uniform(0, LARGEST_NOISE, size=(n_queries, 1))
    images = axis_of_images + SIGNAL * content
    texts = axis_of_texts + SIGNAL * (content[target] + noise)
    return (10 * images).astype(np.float32), (10 * texts).astype(np.float32), target


def write_search(folder: Path, n_items: int = 500, n_labelled: int = 400, n_new: int = 200, n_bank: int = 300) -> None:
    """Write `gallery.npy`, `labelled.npy`, `labels.csv`, `new.npy` and `bank.npy`, and the truth of the new queries.

    Every tenth label is missing.
    """
    images, texts, target = photos_and_queries(n_items, n_labelled + n_new + n_bank, 0)
    labelled, new, bank = np.split(texts, np.cumsum([n_labelled, n_new]))
    for name, embeddings in {"gallery": images, "labelled": labelled, "new": new, "bank": bank}.items():
        np.save(folder / f"{name}.npy", embeddings)
    labels = pd.DataFrame({"query": np.arange(n_labelled), "relevant": target[:n_labelled]})
    labels[labels["query"] % 10 > 0].to_csv(folder / "labels.csv", index=False)
    np.save(folder / "truth_of_labelled.npy", target[:n_labelled])
    np.save(folder / "truth.npy", target[n_labelled : n_labelled + n_new])


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
