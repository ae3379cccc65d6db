"""Uncertainties and hits of the same images in several views: clean, and under attacks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from overtop.errors import OvertopError
from overtop.evaluation.inputs import validate_scores
from overtop.storage.tables import read_table
from overtop.terms import CLEAN, PUBLISHED_ONLY

ALL, RIGHT_BEFORE = "all", "right_before"
"""Sets of images: all, and those that the encoder had right before the attack."""

ATTACKED = "attacked"
"""The view of attacked images in `distributions`, whatever the attack."""

_SCORE_COLUMNS = ["query_id", "direction", "estimator", "protocol", "uncertainty", "hit"]


@dataclass(frozen=True)
class ScoredView:
    """Uncertainties and hits of the same images in one view.

    Attributes:
        uncertainty: (S, n) finite, of the S encoders of a model, by estimator.
        hit: (S, n) bool.
    """

    uncertainty: Mapping[str, np.ndarray]
    hit: np.ndarray


def read_uncertainties(path: str | Path) -> pd.DataFrame:
    """Read the scores of images under the corrected protocol; of estimators without it, under the published one.

    Args:
        path: a score table (`estimators.scoring`).
    """
    scores = read_table(path, _SCORE_COLUMNS)
    scores = scores[scores["direction"] == "i2t"]
    published = scores["estimator"].isin(PUBLISHED_ONLY)
    return scores[scores["protocol"] == published.map({True: "published", False: "corrected"})]


def align_scores(dataset: str, model: str, scores: Mapping[str, Sequence[pd.DataFrame]]) -> dict[str, ScoredView]:
    """Arrange the scores of a model by image.

    Args:
        dataset: named in error messages.
        model: likewise.
        scores: for each view a score table per encoder (`estimators.scoring`), of one protocol and direction each.

    Raises:
        OvertopError: two tables have other images, or an uncertainty is not finite.
    """
    expected: np.ndarray | None = None
    views = {}
    for view, tables in scores.items():
        by_estimator: dict[str, list[np.ndarray]] = {}
        hits = []
        for table in tables:
            for name, rows in table.sort_values("query_id").groupby("estimator", sort=False):
                images = rows["query_id"].to_numpy()
                expected = images if expected is None else expected
                if not np.array_equal(images, expected):
                    raise OvertopError(
                        f"{dataset}: {model} ({view}) was scored on other images than its clean view; embed and attack "
                        "the data set again with the same skipped images"
                    )
                uncertainty, hit = validate_scores(rows["uncertainty"].to_numpy(), rows["hit"].to_numpy())
                by_estimator.setdefault(str(name), []).append(uncertainty)
            hits.append(hit)
        complete = {name: np.stack(arrays) for name, arrays in by_estimator.items() if len(arrays) == len(tables)}
        views[view] = ScoredView(complete, np.stack(hits))
    return views


def distributions(views: Mapping[str, ScoredView], attack: str, estimators: Sequence[str]) -> pd.DataFrame:
    """The uncertainty of every pair of image and encoder of one model, clean and under one attack.

    Args:
        views: as for `measure_effects`.
        attack: one of the views.
        estimators: names of uncertainties.

    Returns:
        Columns `estimator`, `images` (`ALL`, `RIGHT_BEFORE`), `view` (`CLEAN` or `attacked`) and `uncertainty`.
    """
    clean = views[CLEAN]
    sets = {ALL: np.ones_like(clean.hit), RIGHT_BEFORE: clean.hit}
    parts = [
        pd.DataFrame({"uncertainty": view.uncertainty[estimator][chosen]}).assign(
            estimator=estimator, images=images, view=name
        )
        for estimator in estimators
        for images, chosen in sets.items()
        for name, view in ((CLEAN, clean), (ATTACKED, views[attack]))
    ]
    return pd.concat(parts, ignore_index=True)
