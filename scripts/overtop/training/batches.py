"""Training batches of images, each with one of its captions."""

from collections.abc import Iterator, Mapping

import numpy as np

from overtop.config.encoders import EncoderSpec, TrainSpec
from overtop.errors import OvertopError
from overtop.seeds import derive_seed
from overtop.storage.split import Split


def check_train_spec(name: str, spec: EncoderSpec, split: Split) -> TrainSpec:
    """The `train` entry of an encoder, after checking that the split fills a batch.

    Args:
        name: the encoder's name in config.yaml.
        spec: its entry.
        split: the training split.

    Raises:
        OvertopError: the encoder has no `train`, or its batch size exceeds the number of images.
    """
    if spec.train is None:
        raise OvertopError(f"encoders.{name} has no `train`; add it, or set the encoder's weights")
    if len(split.image_ids) < spec.train.batch_size:
        raise OvertopError(
            f"encoders.{name}.train.batch_size is {spec.train.batch_size}, but data set {spec.train.dataset!r} has "
            f"only {len(split.image_ids)} images to train on; reduce it"
        )
    return spec.train


def count_steps(spec: TrainSpec, split: Split) -> int:
    """The number of batches of all epochs."""
    return spec.epochs * (len(split.image_ids) // spec.batch_size)


def sample_batches(split: Split, spec: TrainSpec, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Sample the batches of all epochs. An epoch has each image once; its last, incomplete batch is dropped.

    Args:
        split: the training split.
        spec: gives epochs, batch size, caption weights and the encoder's own seed.
        seed: seed of the run.

    Yields:
        Indices of the images and of one caption of each, both (B,).
    """
    rng = np.random.default_rng(derive_seed(seed, "batches", spec.seed))
    for _ in range(spec.epochs):
        captions = sample_captions(split, spec.caption_weights, rng)
        order = rng.permutation(len(captions))
        for number in range(len(order) // spec.batch_size):
            images = order[number * spec.batch_size : (number + 1) * spec.batch_size]
            yield images, captions[images]


def sample_captions(split: Split, weights: Mapping[str, float], rng: np.random.Generator) -> np.ndarray:
    """Sample one caption of every image, with probabilities proportional to the weights of the captions' levels.

    The smallest of independent exponential variables with rates w belongs to caption c with probability w_c / sum(w).

    Args:
        split: N images and their captions.
        weights: weight of each caption level, 0 for others; if empty, all captions have the same weight.
        rng: source of randomness.

    Returns:
        (N,) indices of captions.
    """
    rates = np.ones(len(split.captions))
    if weights and split.levels:
        rates = np.array([weights.get(level, 0.0) for level in split.levels])
    with np.errstate(divide="ignore"):
        arrival_times = rng.exponential(size=len(rates)) / rates
    order = np.lexsort((arrival_times, split.image_of_caption))
    return order[np.unique(split.image_of_caption[order], return_index=True)[1]]
