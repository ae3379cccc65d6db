import numpy as np
import pytest

from overtop.adapters.pairs import build_pairs, read_adapter_inputs
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
ENCODER = {"name": "tiny"}


def random_source(ids, samples=1):
    return ArraySource([RNG.normal(size=(len(ids), 5)) for _ in range(samples)], ids)


def test_pairs_contain_every_caption_with_its_image():
    images, texts = random_source(SPLIT.image_ids), random_source(SPLIT.caption_ids)
    pairs = build_pairs(SPLIT, images, texts, ENCODER)
    np.testing.assert_array_equal(pairs.image_of_caption, [0, 0, 1, 2])
    np.testing.assert_array_equal(pairs.image, read_adapter_inputs(images))
    np.testing.assert_array_equal(pairs.text, read_adapter_inputs(texts))
    assert pairs.encoder == ENCODER


def test_captions_of_skipped_images_are_left_out():
    images, texts = random_source(["b", "c"]), random_source(["a1", "b0", "c0"])
    pairs = build_pairs(SPLIT, images, texts, ENCODER)
    np.testing.assert_array_equal(pairs.image_of_caption, [0, 1])
    np.testing.assert_array_equal(pairs.text, read_adapter_inputs(texts)[1:])


def test_caption_outside_the_split_is_refused():
    with pytest.raises(OvertopError, match="caption 'z' is not in the split; embed the split again"):
        build_pairs(SPLIT, random_source(["a"]), random_source(["a0", "z"]), ENCODER)


def test_embeddings_without_a_pair_are_refused():
    with pytest.raises(OvertopError, match="no caption has an embedded image"):
        build_pairs(SPLIT, random_source(["b"]), random_source(["a0"]), ENCODER)


def test_adapter_inputs_are_mean_directions_of_length_sqrt_d():
    source = random_source(["a", "b"], samples=3)
    rescaled = ArraySource([10.0 ** (3 * s) * source.read(s, 0, 2) for s in range(3)])
    np.testing.assert_allclose(read_adapter_inputs(rescaled), read_adapter_inputs(source), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(read_adapter_inputs(source), axis=1), 5**0.5, rtol=1e-6)
    units = [source.read(s, 0, 2) / np.linalg.norm(source.read(s, 0, 2), axis=1, keepdims=True) for s in range(3)]
    mean = np.mean(units, axis=0)
    np.testing.assert_allclose(
        read_adapter_inputs(source), mean / np.linalg.norm(mean, axis=1, keepdims=True) * 5**0.5, atol=1e-6
    )


@pytest.mark.parametrize("bad", [0.0, np.nan])
def test_zero_or_non_finite_embedding_is_refused_by_name(bad):
    broken = RNG.normal(size=(2, 5))
    broken[1] = bad
    with pytest.raises(OvertopError, match="'b' .*zero or not finite"):
        read_adapter_inputs(ArraySource([broken], ["a", "b"]))


def test_samples_that_cancel_are_refused_by_name():
    embedding = RNG.normal(size=(2, 5))
    with pytest.raises(OvertopError, match="'a' .*zero or not finite"):
        read_adapter_inputs(ArraySource([embedding, -embedding], ["a", "b"]))


def test_captions_of_unknown_images_are_left_out():
    split = Split([*"abc"], [""] * 3, ["a0", "c0", "x", "y"], ["x"] * 4, np.array([0, 2, -1, -1]))
    images, texts = random_source(split.image_ids), random_source(split.caption_ids)
    pairs = build_pairs(split, images, texts, ENCODER)
    np.testing.assert_array_equal(pairs.image_of_caption, [0, 2])
    np.testing.assert_array_equal(pairs.text, read_adapter_inputs(texts)[:2])
