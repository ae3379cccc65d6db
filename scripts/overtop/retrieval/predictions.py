"""The probabilities of a zero-shot classifier: for each image the class it predicts, and how probable it is.

An image has similarity s_k with class k, and the probability p_k = exp(s_k / T) / sum_j exp(s_j / T). Kinds of
probability differ in the temperature T: that of the model itself, one over its logit scale; 0.07, where p is the
mean of the Dirichlet distribution of UCAT; or one that was fitted on other images.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from overtop.device import default_device
from overtop.errors import OvertopError
from overtop.memory import MAX_ARRAY_BYTES, blocks
from overtop.progress import Progress, no_progress
from overtop.retrieval.relevance import row_numbers
from overtop.retrieval.similarities import mean_similarities
from overtop.retrieval.sources import check_sources
from overtop.storage.shards import EmbeddingSource, ShardSource
from overtop.storage.split import Split

_WORKING_ARRAYS = 6
"""Arrays (images, classes) of float64 that are in memory at a time."""


def predict_classes(
    split: Split,
    images: EmbeddingSource,
    classes: EmbeddingSource,
    temperatures: Mapping[str, float],
    *,
    progress: Progress = no_progress,
) -> pd.DataFrame:
    """Predict the class of each image, and describe the probabilities at some temperatures.

    Images are read in blocks, so that memory does not grow with their number. Similarities are computed in float32 and
    averaged over the samples, everything else in float64.

    Args:
        split: of a data set of classes.
        images: N images of the split; skipped ones may be missing.
        classes: the C class prompts of the split.
        temperatures: T of each kind of probability, by its name.
        progress: called with the images done and their total.

    Returns:
        One row per image and kind of probability: `image_id`; `top1_id`, the class of greatest similarity, of equal
        ones the first; `hit`, whether it is a label of the image; `probability` (the name) and `temperature`;
        `confidence`, the probability of the top-1, and `uncertainty`, its negative logarithm, which tells confidences
        apart that round to 1; `nll`, the negative log-probability of the label in nats, and `brier`, the sum over the
        classes of (p_k - y_k)^2, both NaN where an image has several labels; `entropy` in nats.

    Raises:
        OvertopError: the split is not one of classes, the sources do not match, or a temperature is not positive.
    """
    check_sources(images, classes)
    invalid = [name for name, temperature in temperatures.items() if not 0 < temperature < np.inf]
    if invalid:
        raise OvertopError(f"temperature {temperatures[invalid[0]]} of {invalid[0]!r} is not above 0 and finite")
    positives = label_matrix(split, images.item_ids, classes.item_ids)
    parts = []
    for rows in blocks(images.n_items, 8 * _WORKING_ARRAYS * classes.n_items, MAX_ARRAY_BYTES):
        numbers = np.arange(rows.start, rows.stop)
        similarity = mean_similarities(images, classes, default_device(), numbers).astype(np.float64)
        top1 = similarity.argmax(axis=1)
        answers = pd.DataFrame(
            {
                "image_id": np.array(images.item_ids, dtype=object)[rows],
                "hit": positives[numbers, top1],
                "top1_id": np.array(classes.item_ids, dtype=object)[top1],
            }
        )
        for name, temperature in temperatures.items():
            columns = describe_softmax(similarity, positives[rows], temperature)
            parts.append(answers.assign(probability=name, temperature=temperature, **columns))
        progress(rows.stop, images.n_items)
    table = pd.concat(parts, ignore_index=True)
    return pd.concat([table[table["probability"] == name] for name in temperatures], ignore_index=True)


def describe_softmax(similarity: np.ndarray, labels: np.ndarray, temperature: float) -> dict[str, np.ndarray]:
    """Describe the softmax over the classes by `confidence`, `uncertainty`, `nll`, `brier` and `entropy`, each (n,).

    Args:
        similarity: (n, C) float64.
        labels: (n, C) bool.
        temperature: T.
    """
    rows, top1 = np.arange(len(similarity)), similarity.argmax(axis=1)
    exponent = (similarity - similarity[rows, top1][:, None]) / temperature
    p = np.exp(exponent)
    p[rows, top1] = 0
    others = p.sum(axis=1)
    log_sum = np.log1p(others)  # exact where the others are negligible
    p[rows, top1] = 1
    p /= (1 + others)[:, None]
    single, label = labels.sum(axis=1) == 1, labels.argmax(axis=1)
    columns = {
        "confidence": np.exp(-log_sum),
        "uncertainty": log_sum,
        "nll": np.where(single, log_sum - exponent[rows, label], np.nan),
        "entropy": log_sum - np.einsum("nc,nc->n", p, exponent),
    }
    p[rows, label] -= 1
    return columns | {"brier": np.where(single, np.einsum("nc,nc->n", p, p), np.nan)}


def label_matrix(split: Split, image_ids: list[str], class_ids: list[str]) -> np.ndarray:
    """(N, C) bool, which images have which labels.

    Args:
        split: of a data set of classes.
        image_ids: N of its images.
        class_ids: all C of its classes.

    Raises:
        OvertopError: the split is not one of classes, or the classes are not all of its classes.
    """
    if split.labels is None:
        raise OvertopError("the split has captions instead of classes; predictions need a data set of classes")
    if sorted(class_ids) != sorted(split.caption_ids):
        raise OvertopError("the prompts are not those of all classes of the split; embed the split again")
    labels = np.zeros((len(split.image_ids), len(class_ids)), dtype=bool)
    for column, number in enumerate(row_numbers(split.caption_ids, class_ids)):
        labels[split.labels[number], column] = True
    return labels[row_numbers(split.image_ids, image_ids)]


def model_temperature(images: ShardSource) -> float | None:
    """One over the logit scale of the encoder of some shards; None if they are not of one encoder that has one."""
    scales = {provenance["encoder"].get("logit_scale") for provenance in images.provenance}
    scale = scales.pop() if len(scales) == 1 else None
    return None if scale is None else 1 / scale
