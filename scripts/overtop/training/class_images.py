"""Labelled images for fine-tuning: their classes, and the batches of an epoch."""

from collections.abc import Iterator

import numpy as np

from overtop.config.finetuning import FinetuneSpec
from overtop.errors import OvertopError
from overtop.seeds import derive_seed
from overtop.storage.split import Split


def class_of_images(name: str, split: Split) -> np.ndarray:
    """The class of each image, (N,) int64.

    Args:
        name: the data set, for messages.
        split: a split of a data set of classes.

    Raises:
        OvertopError: the data set is not one of classes, or an image has several classes.
    """
    if split.labels is None:
        raise OvertopError(f"data set {name!r} has captions; fine-tuning needs a data set of classes")
    classes = np.repeat(np.arange(len(split.labels)), [len(images) for images in split.labels])
    images = np.concatenate([np.empty(0, dtype=np.int64), *split.labels])
    counts = np.bincount(images, minlength=len(split.image_ids))
    if (counts > 1).any():
        image_id = split.image_ids[int(counts.argmax())]
        raise OvertopError(f"data set {name!r}: image {image_id!r} has several classes; fine-tuning needs one for each")
    result = np.empty(len(split.image_ids), dtype=np.int64)
    result[images] = classes
    return result


def check_batch_size(name: str, spec: FinetuneSpec, images: int) -> None:
    """Raise an error unless the training split fills a batch.

    Raises:
        OvertopError: it has fewer images.
    """
    if images < spec.batch_size:
        raise OvertopError(
            f"encoders.{name}.finetune.batch_size is {spec.batch_size}, but split {spec.train!r} of data set "
            f"{spec.dataset!r} has only {images} images; reduce it"
        )


def epoch_batches(images: int, spec: FinetuneSpec, seed: int, epoch: int) -> list[np.ndarray]:
    """The rows of the images of each batch of an epoch, in an order that depends on nothing but the seeds.

    Every image is used once; the last, incomplete batch is dropped, as in contrastive training.

    Args:
        images: number of images.
        spec: gives the batch size and the encoder's own seed.
        seed: seed of the run.
        epoch: index of the epoch, from 0.
    """
    order = np.random.default_rng(derive_seed(seed, "fine-tuning batches", spec.seed, epoch)).permutation(images)
    count = images // spec.batch_size
    return np.split(order[: count * spec.batch_size], count)


def parts(images: int, count: int) -> Iterator[slice]:
    """Cut a batch of `images` into at most `count` consecutive parts of equal size; the last may be smaller."""
    size = -(-images // count)
    return (slice(start, start + size) for start in range(0, images, max(1, size)))
