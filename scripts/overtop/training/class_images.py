"""Labelled images for fine-tuning: their classes, the embeddings of the class prompts, and the batches of an epoch."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.nn import functional

from overtop.config.finetuning import FinetuneSpec
from overtop.encoders.embedding import embed_texts
from overtop.encoders.loading import Encoder
from overtop.encoders.sampling import Sampling
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


def embed_classes(encoder: Encoder, split: Split, prompt: str | None) -> torch.Tensor:
    """Unit embeddings of the classes: the mean of the unit embeddings of each class's prompts, normalised again.

    Args:
        encoder: the encoder, whose text tower is not trained.
        split: a split of a data set of C classes.
        prompt: one prompt with `{c}` for the name of the class; None for the templates of the data set.

    Returns:
        (C, D) float32, on the encoder's device.
    """
    templates = [prompt] if prompt is not None else list(split.templates or [])
    prompts = [template.replace("{c}", name) for name in split.captions for template in templates]
    embedded = torch.from_numpy(embed_texts(encoder, prompts, Sampling(), seed=0).embedding[0])
    by_class = functional.normalize(embedded, dim=-1).reshape(len(split.captions), len(templates), -1)
    return functional.normalize(by_class.mean(dim=1), dim=-1).to(encoder.device)


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


def parts(rows: Sequence[int] | np.ndarray, count: int) -> Iterator[slice]:
    """Cut rows into at most `count` consecutive parts of equal size, the last of which may be smaller."""
    size = -(-len(rows) // count)
    return (slice(start, start + size) for start in range(0, len(rows), max(1, size)))
