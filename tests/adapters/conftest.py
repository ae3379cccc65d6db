"""A small world of pairs, and adapters that were trained on it once."""

import numpy as np
import pytest

from overtop.adapters.pairs import Pairs, scaled
from overtop.adapters.storage import Adapters
from overtop.adapters.training import train_adapters
from overtop.config.adapters import AdapterSpec
from overtop.storage.shards import ArraySource

WIDTH = 6
ENCODER = {"name": "tiny", "checkpoint_sha256": "00", "versions": {"torch": "2"}}
SPEC = AdapterSpec(dataset="world", encoder="tiny", epochs=2, batch_size=8, learning_rate=1e-2, passes=4)


def some_pairs(seed: int, images: int = 20, captions: int = 3, width: int = WIDTH) -> Pairs:
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(images, width))
    text = np.repeat(image, captions, axis=0) + 0.3 * rng.normal(size=(images * captions, width))
    sides = (scaled(ArraySource([side])) for side in (image, text))
    return Pairs(*sides, np.repeat(np.arange(images), captions))


@pytest.fixture(scope="session")
def adapters() -> Adapters:
    fitted = {
        protocol: train_adapters("a", SPEC, some_pairs(0), some_pairs(1), protocol, seed=0)
        for protocol in ("published", "corrected")
    }
    return Adapters("a", SPEC, WIDTH, ENCODER, 0, fitted)
