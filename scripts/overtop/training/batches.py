"""Training batches of images, each with one text that matches it: one of its captions, or a prompt of its class."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.errors import OvertopError
from overtop.seeds import derive_seed
from overtop.storage.split import Split


@dataclass(frozen=True)
class Pairs:
    """B images, each with one text; the indices count through all splits that are trained on, in their order.

    Attributes:
        images: (B,) int64, indices of images.
        texts: (B,) int64, indices of texts, as `list_texts` lists those of a split.
        groups: (B,) int64; pairs with equal numbers match each other, because their images are of one class. None
            without classes: each image then matches its own text only.
    """

    images: np.ndarray
    texts: np.ndarray
    groups: np.ndarray | None


def check_train_spec(name: str, spec: EncoderSpec, splits: Sequence[Split]) -> TrainSpec:
    """The `train` entry of an encoder, after checking that the splits fill a batch.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry.
        splits: the training split of each data set of the entry.

    Raises:
        OvertopError: the encoder has no `train`, or its batch size exceeds the number of images.
    """
    if spec.train is None:
        raise OvertopError(f"encoders.{name} has no `train`; add it, or set the encoder's weights")
    if _count_images(splits) < spec.train.batch_size:
        datasets = " with ".join(repr(dataset) for dataset in spec.train.datasets())
        raise OvertopError(
            f"encoders.{name}.train.batch_size is {spec.train.batch_size}, but data set {datasets} has "
            f"only {_count_images(splits)} images to train on; reduce it"
        )
    return spec.train


def count_steps(spec: TrainSpec, splits: Sequence[Split]) -> int:
    """The number of batches of all epochs."""
    return spec.epochs * (_count_images(splits) // spec.batch_size)


def sample_batches(splits: Sequence[Split], spec: TrainSpec, seed: int) -> Iterator[Pairs]:
    """Sample the batches of all epochs. An epoch has each image with a text once, but for a last, incomplete batch.

    Args:
        splits: the training split of each data set.
        spec: gives epochs, batch size, caption weights and the encoder's own seed.
        seed: seed of the run.

    Yields:
        B images of all splits, each with one of its captions, or with one prompt of its class.
    """
    rng = np.random.default_rng(derive_seed(seed, "batches", spec.seed))
    has_classes = any(split.is_classes for split in splits)
    for _ in range(spec.epochs):
        pairs = _sample_texts(splits, spec, rng)
        order = rng.permutation(len(pairs.images))
        for number in range(len(order) // spec.batch_size):
            rows = order[number * spec.batch_size : (number + 1) * spec.batch_size]
            groups = pairs.groups[rows] if has_classes and pairs.groups is not None else None
            yield Pairs(pairs.images[rows], pairs.texts[rows], groups)


def _count_images(splits: Sequence[Split]) -> int:
    """The number of images that can be trained on: those with a caption or a class."""
    return sum(len(split.image_ids) if split.is_classes else int(split.has_caption.sum()) for split in splits)


def _sample_texts(splits: Sequence[Split], spec: TrainSpec, rng: np.random.Generator) -> Pairs:
    """One text of every image of all splits that has one, and its group."""
    images, texts, groups = [], [], []
    n_images = n_texts = n_groups = 0
    for split in splits:
        prompts = len(split.templates or [""])  # texts of one class
        if split.is_classes:
            own_groups = sample_classes(split, rng)
            own_texts = own_groups * prompts + rng.integers(prompts, size=len(own_groups))
            own_images = np.arange(len(own_texts))
        else:
            own_texts = sample_captions(split, spec.caption_weights, rng)
            own_images = split.image_of_caption[own_texts]
            own_groups = np.arange(len(own_texts))
        images.append(n_images + own_images)
        texts.append(n_texts + own_texts)
        groups.append(n_groups + own_groups)
        n_images += len(split.image_ids)
        n_texts += len(split.captions) * prompts
        n_groups += len(split.captions)  # at least as many as there are groups
    return Pairs(np.concatenate(images), np.concatenate(texts), np.concatenate(groups))


def sample_captions(split: Split, weights: Mapping[str, float], rng: np.random.Generator) -> np.ndarray:
    """Sample one caption of every image that has one, with probabilities proportional to the weights of their levels.

    Args:
        split: images, of which N have captions.
        weights: weight of each caption level, 0 for others; if empty, all captions have the same weight.
        rng: source of randomness.

    Returns:
        (N,) indices of captions, in the order of their images.
    """
    rates = np.ones(len(split.captions))
    if weights and split.levels:
        rates = np.array([weights.get(level, 0.0) for level in split.levels])
    paired = np.flatnonzero(split.has_image)
    return paired[_sample_one_of_each(split.image_of_caption[paired], rates[paired], rng)]


def sample_classes(split: Split, rng: np.random.Generator) -> np.ndarray:
    """Sample one of the classes of every image, all with the same probability.

    Args:
        split: N images and their classes.
        rng: source of randomness.

    Returns:
        (N,) indices of classes.
    """
    sizes = [len(images) for images in split.positives]
    class_of_label = np.repeat(np.arange(len(sizes)), sizes)
    labels = _sample_one_of_each(np.concatenate(split.positives), np.ones(len(class_of_label)), rng)
    return class_of_label[labels]


def _sample_one_of_each(owners: np.ndarray, rates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sample one item of each owner, with probabilities proportional to `rates`; indices in the order of the owners.

    The smallest of independent exponential variables with rates w belongs to item c with probability w_c / sum(w).
    """
    with np.errstate(divide="ignore"):
        arrival_times = rng.exponential(size=len(rates)) / rates
    order = np.lexsort((arrival_times, owners))
    return order[np.unique(owners[order], return_index=True)[1]]
