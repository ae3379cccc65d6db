"""Random embeddings for tests."""

import numpy as np

from overtop.storage.shards import ArraySource


def random_cone(rng, samples, items, spread=0.7, dim=12):
    """Return samples of items around a common direction, as CLIP's embeddings are."""
    return ArraySource([1.0 + spread * rng.normal(size=(items, dim)) / np.sqrt(dim) for _ in range(samples)])
