"""Multi-label classification: mean average precision, and precision, recall and F1 of the three best classes.

The measures are those of the literature on COCO and on zero-shot multi-label recognition with CLIP:

- mAP: the mean over classes of the average precision of finding their images, AP = sum_n (R_n - R_{n-1}) P_n over the
  distinct scores (scikit-learn's `average_precision_score`; images of equal score are taken together).
- P, R and F1 at 3, over all predictions ("overall"; Huynh and Elhamifar 2020; DualCoOp, Sun et al. 2022): each image
  is given its 3 best classes; P is the share of all given labels that are right, R the share of all right labels that
  are given, and F1 = 2 P R / (P + R). Images with fewer than three labels limit P: 1/3 at best with one label each.
- The same per class (Wang et al., CNN-RNN, CVPR 2016): the means over classes of the precision and the recall of the
  class, and the F1 of these two means. A class that no image is given has precision 0.

A class without a positive image (in a resample: without one there) is left out of the means over classes.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from overtop.config.evaluation import BootstrapSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import count_resamples, draw_cluster_weights, sum_in_resamples
from overtop.evaluation.ordering import SortedQueries
from overtop.evaluation.selective import average_precision
from overtop.evaluation.significance import symmetric_interval

TOP = 3
"""Classes that each image is given."""


def evaluate_multilabel(
    similarity: np.ndarray, labels: np.ndarray, temperature: float | None, spec: BootstrapSpec, seed: int
) -> pd.DataFrame:
    """Measure a multi-label classifier, with bootstrap intervals over the images.

    Images compete for a class in the average precision, so it depends on what makes their scores comparable: `map` is
    by similarity, `map_softmax` by the softmax over the classes of each image.

    Args:
        similarity: (N, C) of images and class prompts.
        labels: (N, C) bool, the classes of each image.
        temperature: of the softmax, the model's own; None to leave `map_softmax` out.
        spec: resamples and level of the intervals.
        seed: of the resamples.

    Returns:
        One row per measure: `measure`, `value`, `low`, `high`, `n_images`, `n_classes` (with a positive image).

    Raises:
        OvertopError: the shapes differ, or no class has a positive image.
    """
    _check(similarity, labels)
    n_images = len(labels)
    drawn = draw_cluster_weights(n_images, spec.resamples, seed)
    weights = np.concatenate([np.ones((1, n_images), dtype=drawn.dtype), drawn])
    measures = {"map": mean_average_precision(similarity, labels, weights)}
    if temperature is not None:
        measures["map_softmax"] = mean_average_precision(_log_softmax(similarity, temperature), labels, weights)
    measures |= precision_recall_at(similarity, labels, weights)
    rows = []
    for name, values in measures.items():
        low, high = symmetric_interval(values[0], values[1:], spec.level, (0, 1))
        rows.append({"measure": name, "value": values[0], "low": low, "high": high})
    return pd.DataFrame(rows).assign(n_images=n_images, n_classes=int(labels.any(axis=0).sum()))


def mean_average_precision(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute the mean average precision under B weightings of the images.

    Args:
        scores: (N, C), higher where the class is more likely.
        labels: (N, C) bool.
        weights: (B, N) copies of each image.

    Returns:
        (B,); NaN where no class has a positive image.
    """
    total, n_classes = np.zeros(len(weights)), np.zeros(len(weights))
    for score, label in zip(scores.T, labels.T, strict=True):
        if label.any():
            # Finding positives by high score is finding misses by high uncertainty.
            parts = count_resamples(SortedQueries(score.astype(np.float64), ~label), weights)
            precision, positives = zip(*((average_precision(c), c.total_misses) for c in parts), strict=True)
            total += np.concatenate(precision)  # 0 without positives
            n_classes += np.concatenate(positives) > 0
    return np.divide(total, n_classes, out=np.full(len(weights), np.nan), where=n_classes > 0)


def precision_recall_at(
    scores: np.ndarray, labels: np.ndarray, weights: np.ndarray, top: int = TOP
) -> dict[str, np.ndarray]:
    """Compute precision, recall and F1 of the best classes of each image under B weightings of the images.

    Args:
        scores: (N, C); among equal scores the class with the smaller index is better.
        labels: (N, C) bool.
        weights: (B, N) copies of each image.
        top: classes that each image is given; all if there are fewer.

    Returns:
        `precision_at_3`, `recall_at_3`, `f1_at_3` over all predictions, and the same with `class_` in front per class,
        each (B,), with `top` instead of 3; recall and F1 are NaN where no image has a label.
    """
    given = np.zeros(labels.shape, dtype=bool)
    np.put_along_axis(given, np.argsort(-scores, axis=1, kind="stable")[:, :top], True, axis=1)
    images = np.arange(len(labels))
    right, n_given, n_labels = (
        sum_in_resamples(list(counted.T), images, weights) for counted in (given & labels, given, labels)
    )  # each (C, B)
    overall = _f1(_ratio(right.sum(axis=0), n_given.sum(axis=0)), _ratio(right.sum(axis=0), n_labels.sum(axis=0)))
    has_positive = n_labels > 0
    of_class = [np.where(n_given > 0, _ratio(right, n_given), 0.0), _ratio(right, n_labels)]
    n_classes = has_positive.sum(axis=0)
    per_class = _f1(*(_ratio(np.where(has_positive, values, 0).sum(axis=0), n_classes) for values in of_class))
    names = [f"{name}_at_{top}" for name in ("precision", "recall", "f1")]
    return dict(zip([*names, *(f"class_{name}" for name in names)], [*overall, *per_class], strict=True))


def _f1(precision: np.ndarray, recall: np.ndarray) -> Sequence[np.ndarray]:
    """Precision, recall, and their harmonic mean, which is 0 where both are."""
    total = precision + recall
    return precision, recall, np.where(total == 0, 0.0, _ratio(2 * precision * recall, total))


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient; NaN where the denominator is zero."""
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)


def _log_softmax(similarity: np.ndarray, temperature: float) -> np.ndarray:
    logits = similarity.astype(np.float64) / temperature
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def _check(similarity: np.ndarray, labels: np.ndarray) -> None:
    if similarity.shape != labels.shape:
        raise OvertopError(f"similarities have shape {similarity.shape} and labels {labels.shape}; both are (N, C)")
    if not labels.any():
        raise OvertopError("no image has a label; check the labels of the data set")
