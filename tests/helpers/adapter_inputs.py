"""Random pairs of embeddings to train small adapters on."""

import numpy as np

from overtop.adapters.pairs import Pairs, read_adapter_inputs
from overtop.config.adapters import AdapterSpec
from overtop.storage.shards import ArraySource

WIDTH = 6
ENCODER = {"name": "tiny", "checkpoint_sha256": "00", "versions": {"torch": "2"}}
SPEC = AdapterSpec(dataset="world", encoder="tiny", epochs=2, batch_size=8, learning_rate=1e-2, passes=4)


def random_pairs(seed: int, images: int = 20, captions: int = 3, width: int = WIDTH) -> Pairs:
    """Pairs whose captions are their image plus noise; `captions` is the number per image."""
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(images, width))
    text = np.repeat(image, captions, axis=0) + 0.3 * rng.normal(size=(images * captions, width))
    image_inputs, text_inputs = (read_adapter_inputs(ArraySource([array])) for array in (image, text))
    return Pairs(image_inputs, text_inputs, np.repeat(np.arange(images), captions), ENCODER)
