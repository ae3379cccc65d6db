import numpy as np
import pytest

from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.errors import OvertopError
from overtop.storage.split import Split
from overtop.training.batches import check_train_spec, count_steps, sample_batches, sample_captions


@pytest.fixture
def split() -> Split:
    """Forty images with two captions each."""
    return Split(
        image_ids=[f"image-{n}" for n in range(40)],
        image_paths=[""] * 40,
        caption_ids=[f"caption-{n}" for n in range(80)],
        captions=["a caption"] * 80,
        image_of_caption=np.repeat(np.arange(40), 2),
    )


def test_captions_are_sampled_in_proportion_to_the_weights_of_their_levels() -> None:
    split = Split(["a", "b"], ["", ""], [*"12345"], [*"vwxyz"], np.array([0, 0, 1, 1, 1]), None, [*"pqpqr"])
    rng = np.random.default_rng(0)
    sampled = np.array([sample_captions(split, {"p": 3, "q": 1}, rng) for _ in range(4000)])
    assert set(sampled[:, 0]) == {0, 1}
    assert set(sampled[:, 1]) == {2, 3}  # level r has no weight
    np.testing.assert_allclose([(sampled[:, 0] == 0).mean(), (sampled[:, 1] == 2).mean()], 0.75, atol=0.03)
    uniform = np.array([sample_captions(split, {}, rng) for _ in range(4000)])
    np.testing.assert_allclose(np.bincount(uniform[:, 1], minlength=5)[2:] / 4000, 1 / 3, atol=0.03)


def test_batches_contain_each_image_once_per_epoch_with_one_of_its_captions(split: Split) -> None:
    spec = TrainSpec(dataset="shapes", epochs=3, batch_size=20)
    batches = list(sample_batches(split, spec, 0))
    assert len(batches) == count_steps(spec, split) == 6
    for epoch in range(3):
        images, captions = (np.concatenate(parts) for parts in zip(*batches[2 * epoch : 2 * epoch + 2], strict=True))
        assert sorted(images) == list(range(40))
        np.testing.assert_array_equal(split.image_of_caption[captions], images)


def test_batch_larger_than_the_split_is_rejected(split: Split) -> None:
    spec = EncoderSpec(architecture="shapes-vit", train=TrainSpec(dataset="shapes", batch_size=41))
    with pytest.raises(OvertopError, match=r"encoders\.a\.train\.batch_size is 41, .* only 40 images"):
        check_train_spec("a", spec, split)


def test_encoder_without_train_entry_is_rejected(split: Split) -> None:
    with pytest.raises(OvertopError, match="has no `train`"):
        check_train_spec("a", EncoderSpec(architecture="shapes-vit", checkpoint="x"), split)
