import numpy as np
import pytest

from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.encoders.prompts import list_texts
from overtop.errors import OvertopError
from overtop.seeds import derive_seed
from overtop.storage.split import Split
from overtop.training.batches import (
    Pairs,
    check_train_spec,
    count_steps,
    sample_batches,
    sample_captions,
    sample_classes,
)

LEVELS = [*"pqpqr"]


@pytest.fixture
def split() -> Split:
    """Forty images with two captions each."""
    return Split(
        image_ids=[f"image-{n}" for n in range(40)],
        image_paths=[""] * 40,
        caption_ids=[f"caption-{n}" for n in range(80)],
        captions=[f"caption {n} of image {n // 2}" for n in range(80)],
        image_of_caption=np.repeat(np.arange(40), 2),
    )


@pytest.fixture
def classes() -> Split:
    """Twelve images of three classes, of which the last has no image; image 0 has both others."""
    return Split(
        image_ids=[f"image-{n}" for n in range(12)],
        image_paths=[""] * 12,
        caption_ids=["0", "1", "2"],
        captions=["cat", "dog", "cow"],
        image_of_caption=np.full(3, -1),
        labels=[np.arange(8), np.array([0, 8, 9, 10, 11]), np.empty(0, dtype=np.int64)],
        templates=["a {c}", "the {c} of a {c}"],
    )


def _join(batches: list[Pairs]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    groups = [np.full(len(batch.images), -1) if batch.groups is None else batch.groups for batch in batches]
    return (
        np.concatenate([batch.images for batch in batches]),
        np.concatenate([batch.texts for batch in batches]),
        np.concatenate(groups),
    )


def test_captions_are_sampled_in_proportion_to_the_weights_of_their_levels() -> None:
    split = Split(["a", "b"], ["", ""], [*"12345"], [*"vwxyz"], np.array([0, 0, 1, 1, 1]), None, LEVELS)
    rng = np.random.default_rng(0)
    sampled = np.array([sample_captions(split, {"p": 3, "q": 1}, rng) for _ in range(4000)])
    assert set(sampled[:, 0]) == {0, 1}
    assert set(sampled[:, 1]) == {2, 3}  # level r has no weight
    np.testing.assert_allclose([(sampled[:, 0] == 0).mean(), (sampled[:, 1] == 2).mean()], 0.75, atol=0.03)
    uniform = np.array([sample_captions(split, {}, rng) for _ in range(4000)])
    np.testing.assert_allclose(np.bincount(uniform[:, 1], minlength=5)[2:] / 4000, 1 / 3, atol=0.03)


def test_one_class_of_each_image_is_sampled_uniformly(classes: Split) -> None:
    rng = np.random.default_rng(0)
    sampled = np.array([sample_classes(classes, rng) for _ in range(4000)])
    assert (sampled[:, 1:] == [0] * 7 + [1] * 4).all()
    np.testing.assert_allclose(sampled[:, 0].mean(), 0.5, atol=0.03)


def test_batches_contain_each_image_once_per_epoch_with_one_of_its_captions(split: Split) -> None:
    spec = TrainSpec(dataset="shapes", epochs=3, batch_size=20)
    batches = list(sample_batches([split], spec, 0))
    assert len(batches) == count_steps(spec, [split]) == 6
    assert all(batch.groups is None for batch in batches)
    for epoch in range(3):
        images, captions, _ = _join(batches[2 * epoch : 2 * epoch + 2])
        assert sorted(images) == list(range(40))
        np.testing.assert_array_equal(split.image_of_caption[captions], images)


def test_unpaired_items_are_not_sampled_and_change_nothing_else(split: Split, classes: Split) -> None:
    """Five images without a caption, and seven captions of no image, do not change the pairs of the other items."""
    position = np.sort(np.random.default_rng(0).permutation(45)[:40])  # of the images that have captions
    images = [f"other-{n}" for n in range(45)]
    for row, image_id in zip(position, split.image_ids, strict=True):
        images[row] = image_id
    unpaired = Split(
        image_ids=images,
        image_paths=[""] * 45,
        caption_ids=[*split.caption_ids, *(f"other-{n}" for n in range(7))],
        captions=[*split.captions, *["words"] * 7],
        image_of_caption=np.append(position[split.image_of_caption], np.full(7, -1)),
    )
    spec = TrainSpec(dataset="shapes", classes="animals", epochs=3, batch_size=13)
    assert count_steps(spec, [unpaired, classes]) == count_steps(spec, [split, classes])
    (images, texts, groups), expected = (
        _join(list(sample_batches([first, classes], spec, 0))) for first in (unpaired, split)
    )
    np.testing.assert_array_equal(images, [position[n] if n < 40 else n + 5 for n in expected[0]])
    np.testing.assert_array_equal(texts, [n if n < 80 else n + 7 for n in expected[1]])
    np.testing.assert_array_equal(np.equal.outer(groups, groups), np.equal.outer(expected[2], expected[2]))


def test_batches_of_captions_equal_a_plain_sampling_with_the_same_random_numbers(split: Split) -> None:
    """Checkpoints of earlier runs depend on the order in which random numbers are used."""
    rng = np.random.default_rng(derive_seed(5, "batches", 2))
    expected = []
    for _ in range(2):
        times = rng.exponential(size=80)
        captions = [min((2 * image, 2 * image + 1), key=lambda caption: times[caption]) for image in range(40)]
        expected += [(image, captions[image]) for image in rng.permutation(40)[:32]]
    batches = sample_batches([split], TrainSpec(dataset="shapes", epochs=2, batch_size=16, seed=2), 5)
    images, captions, _ = _join(list(batches))
    assert list(zip(images, captions, strict=True)) == expected


def test_batches_of_captions_and_classes_have_matching_texts_and_groups(split: Split, classes: Split) -> None:
    spec = TrainSpec(dataset="shapes", classes="animals", epochs=40, batch_size=26)
    splits = [split, classes]
    texts = [text for part in splits for text in list_texts(part)]
    batches = list(sample_batches(splits, spec, 0))
    assert len(batches) == count_steps(spec, splits) == 80
    images_of = {name: set(40 + own) for name, own in zip(classes.captions, classes.positives, strict=True)}
    prompts = set()
    for epoch in range(40):
        images, rows, groups = _join(batches[2 * epoch : 2 * epoch + 2])
        assert sorted(images) == list(range(52))
        subjects = [texts[row].split()[-1] for row in rows]  # the number of the image, or the name of the class
        for image, row, subject in zip(images, rows, subjects, strict=True):
            assert (subject == str(image)) if image < 40 else (image in images_of[subject])
            prompts |= {texts[row]} if image >= 40 else set()
        same_subject = np.equal.outer(subjects, subjects)
        np.testing.assert_array_equal(np.equal.outer(groups, groups), same_subject)
    assert prompts == {"a cat", "the cat of a cat", "a dog", "the dog of a dog"}


def test_batch_larger_than_the_splits_is_rejected(split: Split, classes: Split) -> None:
    spec = EncoderSpec(architecture="shapes-vit", train=TrainSpec(dataset="shapes", batch_size=41))
    with pytest.raises(OvertopError, match=r"encoders\.a\.train\.batch_size is 41, .* 'shapes' has only 40 images"):
        check_train_spec("a", spec, [split])
    joint = TrainSpec(dataset="shapes", classes="animals", batch_size=53)
    with pytest.raises(OvertopError, match="'shapes' with 'animals' has only 52 images"):
        check_train_spec("a", spec.model_copy(update={"train": joint}), [split, classes])


def test_encoder_without_train_entry_is_rejected(split: Split) -> None:
    with pytest.raises(OvertopError, match="has no `train`"):
        check_train_spec("a", EncoderSpec(architecture="shapes-vit", checkpoint="x"), [split])
