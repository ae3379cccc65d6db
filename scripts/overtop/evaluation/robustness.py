"""Accuracy of several models on clean and on attacked images, with intervals.

A model is one or several encoders that differ only in their seed; its accuracy is the mean of theirs. A view is
`clean` or the name of an attack. An image counts as right in a view if its top-1 in that view is right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from overtop.config.evaluation import BootstrapSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import bootstrap_seed, draw_cluster_weights, sum_in_resamples
from overtop.evaluation.significance import Bounds, symmetric_interval
from overtop.means import harmonic_mean
from overtop.storage.tables import open_parquet
from overtop.terms import CLEAN

AVERAGE = "average"
"""In the place of a data set: the mean over all data sets of a study, each with the same weight."""

ModelView = tuple[str, str]
"""Display name of a model, and a view."""

COLUMNS = [
    "dataset", "model", "view", "measure", "n_seeds", "n_images", "value", "value_low", "value_high", "value_sd",
    "harmonic", "harmonic_low", "harmonic_high", "difference", "difference_low", "difference_high",
]  # fmt: skip
"""Columns of the table of a study."""

ACCURACY = "accuracy"
"""The measure of data sets with one class per image, and of captions: Recall@1."""


@dataclass(frozen=True)
class DatasetHits:
    """Which images of a data set are right, for each model in each view.

    Attributes:
        dataset: its name.
        hits: (S, n) bool for the S encoders of a model, in the same order of the images everywhere.
    """

    dataset: str
    hits: Mapping[ModelView, np.ndarray]


@dataclass(frozen=True)
class _Accuracies:
    """Accuracies of V models in a view.

    Attributes:
        by_seed: V times (S,), that of each encoder.
        draws: (V, B) mean over the encoders in B resamples of the images.
        n_images: number of images.
    """

    by_seed: list[np.ndarray]
    draws: np.ndarray
    n_images: int


def measure_robustness(
    datasets: Sequence[DatasetHits], bootstrap: BootstrapSpec, seed: int, split: str, baseline: str
) -> pd.DataFrame:
    """Measure the accuracy of every model in every view on each data set, and on average.

    All models and views have the same resamples of the images of a data set, so that their differences are paired;
    those of different data sets are independent. Encoders are not resampled: how much they differ is `value_sd`.

    Args:
        datasets: with the same models and views each. The average is added if there are several.
        bootstrap: number of resamples and level of the intervals.
        seed: of the run.
        split: of the data sets.
        baseline: model that the others are compared with.

    Returns:
        Columns `COLUMNS`, a row per data set, model and view; `measure` is `ACCURACY`, and `value` the accuracy.
        `value_sd` is its standard deviation over encoders, missing for a single one. `harmonic` is the harmonic mean
        of the accuracy and the clean accuracy of the model, missing for the view `clean`; that of the average is the
        harmonic mean of the two averages, as in UCAT.
        `difference` is the accuracy minus that of the baseline in the same view, missing for the baseline.
    """
    measured = {
        each.dataset: _measure_dataset(each, bootstrap.resamples, bootstrap_seed(seed, each.dataset, split))
        for each in datasets
    }
    if len(measured) > 1:
        measured[AVERAGE] = _average(list(measured.values()))
    keys = list(datasets[0].hits)
    rows = [
        row
        for dataset, accuracies in measured.items()
        for row in _rows(dataset, keys, accuracies, bootstrap.level, baseline)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def combine_multilabel(tables: Mapping[tuple[str, str, str], Sequence[pd.DataFrame]]) -> pd.DataFrame:
    """Arrange the measures of multi-label data sets as rows of the table of a study.

    Args:
        tables: for each data set, model and view a table per encoder (`evaluation.multilabel`).

    Returns:
        Columns `COLUMNS`, a row per data set, model, view and measure. The ends of an interval are the means of those
        of the encoders, which is wider than the interval of their mean.
    """
    rows = []
    for (dataset, model, view), of_encoders in tables.items():
        together = pd.concat(of_encoders, ignore_index=True)
        for measure, of_measure in together.groupby("measure", sort=False):
            ends = {f"value_{end}": of_measure[end].mean() for end in ("low", "high")}
            spread = {"value": of_measure["value"].mean(), "value_sd": of_measure["value"].std(ddof=1)}
            counts = {"n_seeds": len(of_encoders), "n_images": of_measure["n_images"].iloc[0]}
            names = {"dataset": dataset, "model": model, "view": view, "measure": measure}
            rows.append(names | counts | spread | ends)
    return pd.DataFrame(rows, columns=COLUMNS)


def read_hits(path: str | Path) -> pd.DataFrame:
    """Read which images are right, from predictions of classes or from scores of images that retrieve captions.

    Returns:
        Columns `image_id` and `hit`, one row per image.
    """
    file = open_parquet(path)
    columns = [name for name in ("image_id", "hit", "direction") if name in file.schema_arrow.names]
    table = file.read(columns).to_pandas()
    if "direction" in columns:
        table = table[table["direction"] == "i2t"]
    return table[~table.duplicated("image_id")][["image_id", "hit"]]  # the hits of an image are equal in its rows


def align_hits(dataset: str, tables: Mapping[ModelView, Sequence[pd.DataFrame]]) -> DatasetHits:
    """Arrange the hits of all models and views by image.

    Args:
        dataset: its name.
        tables: for each model and view a table per encoder with the columns `image_id` and `hit`, a row per image.

    Raises:
        OvertopError: an encoder was evaluated on other images than the first one, or there are no images.
    """
    expected: np.ndarray | None = None
    hits = {}
    for (model, view), of_encoders in tables.items():
        rows = [table.sort_values("image_id") for table in of_encoders]
        for table in rows:
            images = table["image_id"].to_numpy()
            expected = images if expected is None else expected
            if not np.array_equal(images, expected):
                raise OvertopError(
                    f"{dataset}: {model} ({view}) was evaluated on other images than the first model of the study; "
                    "embed and attack the data set again with the same skipped images"
                )
        hits[model, view] = np.stack([table["hit"].to_numpy(dtype=bool) for table in rows])
    if expected is None or not len(expected):
        raise OvertopError(f"{dataset}: there are no images to evaluate; check that its split is not empty")
    return DatasetHits(dataset, hits)


def _measure_dataset(each: DatasetHits, resamples: int, seed: int) -> _Accuracies:
    shares = [hits.mean(axis=0) for hits in each.hits.values()]  # of the encoders that are right, for every image
    n_images = len(shares[0])
    weights = draw_cluster_weights(n_images, resamples, seed)
    draws = sum_in_resamples(shares, np.arange(n_images), weights) / n_images
    return _Accuracies([hits.mean(axis=1) for hits in each.hits.values()], draws, n_images)


def _average(measured: Sequence[_Accuracies]) -> _Accuracies:
    """Mean over data sets, which have the same weight."""
    by_seed = [np.mean(of_key, axis=0) for of_key in zip(*(each.by_seed for each in measured), strict=True)]
    draws = np.mean([each.draws for each in measured], axis=0)
    return _Accuracies(by_seed, draws, sum(each.n_images for each in measured))


def _rows(
    dataset: str, keys: Sequence[ModelView], accuracies: _Accuracies, level: float, baseline: str
) -> list[dict[str, Any]]:
    value = np.array([of_seeds.mean() for of_seeds in accuracies.by_seed])
    clean = [keys.index((model, CLEAN)) for model, _ in keys]
    reference = [keys.index((baseline, view)) for _, view in keys]
    draws = accuracies.draws
    columns: dict[str, np.ndarray] = {}

    def add(name: str, values: np.ndarray, drawn: np.ndarray, defined: Sequence[bool], bounds: Bounds) -> None:
        values = np.where(defined, values, np.nan)
        low, high = symmetric_interval(values, drawn, level, bounds)
        columns.update({name: values, f"{name}_low": low, f"{name}_high": high})

    add("value", value, draws, [True] * len(keys), (0, 1))
    is_attacked = [view != CLEAN for _, view in keys]
    add("harmonic", harmonic_mean(value, value[clean]), harmonic_mean(draws, draws[clean]), is_attacked, (0, 1))
    is_compared = [model != baseline for model, _ in keys]
    add("difference", value - value[reference], draws - draws[reference], is_compared, (-1, 1))
    return [
        {
            "dataset": dataset,
            "model": model,
            "view": view,
            "measure": ACCURACY,
            "n_seeds": len(accuracies.by_seed[i]),
            "n_images": accuracies.n_images,
            "value_sd": accuracies.by_seed[i].std(ddof=1) if len(accuracies.by_seed[i]) > 1 else np.nan,
            **{name: values[i] for name, values in columns.items()},
        }
        for i, (model, view) in enumerate(keys)
    ]
