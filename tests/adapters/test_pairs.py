import numpy as np
import pytest

from overtop.adapters.pairs import pairs_of, scaled
from overtop.errors import OvertopError
from overtop.storage.shards import ArraySource
from overtop.storage.split import Split

SPLIT = Split(
    image_ids=["a", "b", "c"],
    image_paths=[""] * 3,
    caption_ids=["a0", "a1", "b0", "c0"],
    captions=["x"] * 4,
    image_of_caption=np.array([0, 0, 1, 2]),
)
RNG = np.random.default_rng(0)


def _source(ids, samples=1):
    return ArraySource([RNG.normal(size=(len(ids), 5)) for _ in range(samples)], ids)


def test_every_caption_meets_its_image():
    images, texts = _source(SPLIT.image_ids), _source(SPLIT.caption_ids)
    pairs = pairs_of(SPLIT, images, texts)
    np.testing.assert_array_equal(pairs.image_of_caption, [0, 0, 1, 2])
    np.testing.assert_array_equal(pairs.image, scaled(images))
    np.testing.assert_array_equal(pairs.text, scaled(texts))


def test_skipped_items_leave_their_pairs_out():
    images, texts = _source(["b", "c"]), _source(["a1", "b0", "c0"])
    pairs = pairs_of(SPLIT, images, texts)
    np.testing.assert_array_equal(pairs.image_of_caption, [0, 1])
    np.testing.assert_array_equal(pairs.text, scaled(texts)[1:])


def test_embeddings_of_something_else_are_refused():
    with pytest.raises(OvertopError, match="caption 'z' has an embedding but is not in the split"):
        pairs_of(SPLIT, _source(["a"]), _source(["a0", "z"]))
    with pytest.raises(OvertopError, match="no caption and its image"):
        pairs_of(SPLIT, _source(["b"]), _source(["a0"]))


def test_one_scale_for_every_length_and_sample():
    source = _source(["a", "b"], samples=3)
    long = ArraySource([10.0 ** (3 * s) * source.read(s, 0, 2) for s in range(3)])
    np.testing.assert_allclose(scaled(long), scaled(source), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(scaled(source), axis=1), 5**0.5, rtol=1e-6)
    units = [source.read(s, 0, 2) / np.linalg.norm(source.read(s, 0, 2), axis=1, keepdims=True) for s in range(3)]
    mean = np.mean(units, axis=0)
    np.testing.assert_allclose(scaled(source), mean / np.linalg.norm(mean, axis=1, keepdims=True) * 5**0.5, atol=1e-6)


@pytest.mark.parametrize("bad", [0.0, np.nan])
def test_an_embedding_without_direction_is_named(bad):
    broken = RNG.normal(size=(2, 5))
    broken[1] = bad
    with pytest.raises(OvertopError, match="'b' .*zero or not finite"):
        scaled(ArraySource([broken], ["a", "b"]))


def test_samples_that_cancel_are_named():
    one = RNG.normal(size=(2, 5))
    with pytest.raises(OvertopError, match="'a' .*zero or not finite"):
        scaled(ArraySource([one, -one], ["a", "b"]))
