"""Calibration of several models on clean and on attacked images, with intervals.

A model is one or several encoders that differ only in their seed; its measures are the means of theirs. A view is
`clean` or the name of an attack. The measures are those of `evaluation.probabilities`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from overtop.config.evaluation import BootstrapSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import bootstrap_seed, draw_cluster_weights
from overtop.evaluation.probabilities import MEASURE_BOUNDS, calibrated_ece, measure_probabilities
from overtop.evaluation.robustness import AVERAGE
from overtop.evaluation.significance import symmetric_interval

COLUMNS = [
    "dataset", "model", "view", "probability", "temperature", "n_seeds", "n_images",
    *(f"{name}{end}" for name in MEASURE_BOUNDS for end in ("", "_low", "_high")), "ece_calibrated",
]  # fmt: skip
"""Columns of the result of `measure_view_calibration`."""


@dataclass(frozen=True)
class ViewPredictions:
    """The predictions of a model in one view of a data set.

    Attributes:
        dataset: name of the data set.
        model: display name of the model.
        view: `clean` or an attack.
        of_encoders: a table of `retrieval.predictions.predict_classes` for each encoder.
    """

    dataset: str
    model: str
    view: str
    of_encoders: Sequence[pd.DataFrame]

    @property
    def place(self) -> str:
        """How error messages call it: `cifar10: UCAT (pgd)`."""
        return f"{self.dataset}: {self.model} ({self.view})"


@dataclass(frozen=True)
class _Measured:
    """Measures of one kind of probability: (measures, 1 + B), in all images and in B resamples of them."""

    values: np.ndarray
    ece_calibrated: float
    temperature: float
    n_seeds: int
    n_images: int


def measure_view_calibration(
    views: Iterable[ViewPredictions], bootstrap: BootstrapSpec, seed: int, split: str
) -> pd.DataFrame:
    """Measure every kind of probability of each model in each view of each data set, and on average.

    All models and views of a data set have the same resamples of its images; those of different data sets are
    independent. Encoders are not resampled.

    Args:
        views: read one at a time, so they may be made on the way; all of a data set follow each other.
        bootstrap: number of resamples and level of the intervals.
        seed: of the run.
        split: of the data sets.

    Returns:
        Columns `COLUMNS`: for each measure its mean over the encoders and the ends of its interval; `temperature` is
        the geometric mean over the encoders, and `ece_calibrated` the mean that `ece_width` of a perfectly calibrated
        model would have. `nll` and `brier` are missing where images have several labels. If there
        are several data sets of images with one label, further rows, with `dataset` `AVERAGE`, have the mean over them.

    Raises:
        OvertopError: the encoders of a model predict different images or kinds of probability, or there are no images.
    """
    rows, of_datasets = [], dict[tuple[str, str, str], list[_Measured]]()
    weights, drawn_for = np.empty((0, 0), dtype=np.uint16), ("", 0)
    for view in views:
        tables = _by_probability(view)
        n_images = len(next(iter(tables.values()))[0])
        if drawn_for != (view.dataset, n_images):
            drawn_for = view.dataset, n_images
            weights = draw_cluster_weights(n_images, bootstrap.resamples, bootstrap_seed(seed, view.dataset, split))
        for probability, of_encoders in tables.items():
            measured = _measure(of_encoders, weights)
            rows.append(_row(view.dataset, (view.model, view.view, probability), measured, bootstrap.level))
            if not np.isnan(rows[-1]["nll"]):
                of_datasets.setdefault((view.model, view.view, probability), []).append(measured)
    if max(map(len, of_datasets.values()), default=0) > 1:
        rows += [_row(AVERAGE, key, _average(measured), bootstrap.level) for key, measured in of_datasets.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def _by_probability(view: ViewPredictions) -> Mapping[str, list[pd.DataFrame]]:
    """The predictions of every encoder in the order of the images' names, by kind of probability."""
    tables: dict[str, list[pd.DataFrame]] = {}
    for table in view.of_encoders:
        for probability, rows in table.groupby("probability", sort=False):
            tables.setdefault(str(probability), []).append(rows.sort_values("image_id", ignore_index=True))
    if not tables:
        raise OvertopError(f"{view.place}: there are no predictions; check that the split is not empty")
    for probability, of_encoders in tables.items():
        if len(of_encoders) != len(view.of_encoders):
            raise OvertopError(
                f"{view.place}: only some of its encoders have the probability {probability!r}; a model consists of "
                "encoders that differ only in their seed"
            )
        if not all(rows["image_id"].equals(of_encoders[0]["image_id"]) for rows in of_encoders):
            raise OvertopError(
                f"{view.place}: its encoders predict different images; embed and attack the data set again with the "
                "same skipped images"
            )
    return tables


def _measure(of_encoders: Sequence[pd.DataFrame], weights: np.ndarray) -> _Measured:
    values = [np.stack(list(measure_probabilities(rows, weights).values())) for rows in of_encoders]
    floors = [calibrated_ece(rows["confidence"].to_numpy()) for rows in of_encoders]
    temperature = np.exp(np.mean([np.log(rows["temperature"].iloc[0]) for rows in of_encoders]))
    n_seeds, n_images = len(of_encoders), len(of_encoders[0])
    return _Measured(np.mean(values, axis=0), float(np.mean(floors)), float(temperature), n_seeds, n_images)


def _average(measured: Sequence[_Measured]) -> _Measured:
    """The mean over data sets, which have the same weight."""
    return _Measured(
        np.mean([each.values for each in measured], axis=0),
        float(np.mean([each.ece_calibrated for each in measured])),
        measured[0].temperature,
        measured[0].n_seeds,
        sum(each.n_images for each in measured),
    )


def _row(dataset: str, key: tuple[str, str, str], measured: _Measured, level: float) -> dict[str, Any]:
    row = dict(zip(("model", "view", "probability"), key, strict=True)) | {
        "dataset": dataset,
        "temperature": measured.temperature,
        "ece_calibrated": measured.ece_calibrated,
        "n_seeds": measured.n_seeds,
        "n_images": measured.n_images,
    }
    for (name, bounds), values in zip(MEASURE_BOUNDS.items(), measured.values, strict=True):
        low, high = symmetric_interval(values[0], values[1:], level, bounds)
        row |= {name: values[0], f"{name}_low": low, f"{name}_high": high}
    return row
