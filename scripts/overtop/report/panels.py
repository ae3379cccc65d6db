"""The panels of a report: precision at each coverage, and calibration, of every method of a data set and direction."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from overtop import labels
from overtop.config.evaluation import EvaluationSpec
from overtop.estimators.registry import get_estimator
from overtop.evaluation.bootstrap import bootstrap_seed, draw_cluster_weights
from overtop.evaluation.inputs import HIT_COLUMNS
from overtop.evaluation.ordering import SortedQueries
from overtop.evaluation.precision import measure_precision
from overtop.evaluation.selection import select_rows
from overtop.report.document import Calibration, Method, Panel, PosteriorCurve
from overtop.report.rows import PANEL, default_methods, measured, panel_id
from overtop.seeds import derive_seed

MAX_POINTS = 200
"""Coverages of a panel, at most: half a percent apart."""

MAX_NUMBERS = 60_000
"""Coverages of all methods of a report together, which keeps its page small."""

MEASURES = ("aurc", "auroc", "coverage", "rejection_auc", "neg_sr2")
"""Measures that panels show of a method."""


@dataclass(frozen=True)
class PosteriorResults:
    """Results of one posterior on one split, both directions.

    Attributes:
        scores: the columns `SCORE_COLUMNS` of its score table.
        calibration: its curves of calibration.
    """

    scores: pd.DataFrame
    calibration: pd.DataFrame


SCORE_COLUMNS = ["direction", "estimator", "protocol", "query_id", "image_id", "uncertainty", *HIT_COLUMNS.values()]
"""Columns of the score table that panels need."""

Reader = Callable[[str, str, str], PosteriorResults]
"""Reads the results of a data set, split and posterior."""


def make_panels(rows: pd.DataFrame, read: Reader, spec: EvaluationSpec, seed: int, threads: int) -> list[Panel]:
    """The panels of a report, with the resamples of the tables.

    Args:
        rows: the methods to show (`rows.default_rows`).
        read: called once for each data set, split and posterior.
        spec: bootstrap.
        seed: of the run.
        threads: number of threads; the result does not depend on it.
    """
    most_points = min(MAX_POINTS, max(MAX_NUMBERS // len(rows), 1))
    panels = {panel_id(panel.iloc[0]): panel for _, panel in rows.groupby(PANEL, sort=False)}
    methods: dict[str, list[Method]] = {name: [] for name in panels}
    for (dataset, split, posterior), of_posterior in rows.groupby([*PANEL[:2], "posterior"], sort=False):
        results = read(dataset, split, posterior)
        for name in dict.fromkeys(map(panel_id, of_posterior.to_dict("records"))):
            n_points = _count_points(panels[name], most_points)
            draw = partial(_draw_resamples, n_points=n_points, spec=spec, seed=seed)
            methods[name] += _measure_methods(panels[name], posterior, results, draw, threads)
    names = labels.posterior_labels(rows)
    return [
        _make_panel(panel, names, methods[name], _count_points(panel, most_points)) for name, panel in panels.items()
    ]


def _count_points(panel: pd.DataFrame, most_points: int) -> int:
    return min(most_points, int(panel["n_queries"].min()))


def count_answered(n_queries: int, n_points: int) -> np.ndarray:
    """(K,) the smallest numbers of `n_queries` queries that are at least a share 1/K, 2/K, ..., 1."""
    return -(-np.arange(1, n_points + 1) * n_queries // n_points)


def _make_panel(panel: pd.DataFrame, posteriors: Mapping[str, str], methods: list[Method], n_points: int) -> Panel:
    first = panel.iloc[0]
    firsts = panel.drop_duplicates("posterior")
    return Panel(
        id=panel_id(first),
        title=labels.panel_title(panel, int(panel["n_queries"].max())),
        dataset=first["dataset"],
        direction=first["direction"],
        setup=labels.setup_label(panel, ["protocol", "positives"]),
        coverage=[round(point / n_points, 6) for point in range(1, n_points + 1)],
        posteriors=[_describe_posterior(row, posteriors, n_points) for _, row in firsts.iterrows()],
        methods=sorted(methods, key=lambda method: (method.measures["aurc"][0] or 0.0, method.id)),
    )


def _describe_posterior(row: pd.Series, posteriors: Mapping[str, str], n_points: int) -> PosteriorCurve:
    n_queries = int(row["n_queries"])
    answered = count_answered(n_queries, n_points)
    n_hits = round(row["recall_at_1"] * n_queries)
    return PosteriorCurve(
        id=row["posterior"],
        label=posteriors[row["posterior"]],
        n_queries=n_queries,
        recall_at_1=measured(row, "recall_at_1"),
        answered=answered.tolist(),
        oracle=_round(np.minimum(1.0, n_hits / answered)),
    )


@dataclass(frozen=True)
class _Resamples:
    """The queries of one posterior in a panel, and what is answered of them.

    Attributes:
        cluster: (Q,) index of the weight of each query.
        weights: (B, clusters), as for the intervals of the tables.
        answered: (K,) numbers of queries to answer.
        level: of the intervals.
    """

    cluster: np.ndarray
    weights: np.ndarray
    answered: np.ndarray
    level: float


def _draw_resamples(row: pd.Series, image_ids: pd.Series, n_points: int, spec: EvaluationSpec, seed: int) -> _Resamples:
    cluster, images = pd.factorize(image_ids, sort=True)
    of_direction = derive_seed(bootstrap_seed(seed, row["dataset"], row["split"]), row["direction"])
    weights = draw_cluster_weights(len(images), spec.bootstrap.resamples, of_direction)
    return _Resamples(cluster, weights, count_answered(len(cluster), n_points), spec.bootstrap.level)


def _measure_methods(
    panel: pd.DataFrame,
    posterior: str,
    results: PosteriorResults,
    draw: Callable[[pd.Series, pd.Series], _Resamples],
    threads: int,
) -> list[Method]:
    """The methods of one posterior in a panel, in threads."""
    rows, defaults = panel[panel["posterior"] == posterior], default_methods(panel)
    scores = select_rows(results.scores, direction=rows["direction"].iloc[0])
    queries = dict(list(scores.groupby(["estimator", "protocol"], sort=False)))
    image_ids = next(iter(queries.values()))["image_id"]  # the same for all estimators
    resamples = draw(rows.iloc[0], image_ids)
    is_first = posterior == defaults["posterior"].iloc[0]

    def measure(row: pd.Series) -> Method:
        is_default = is_first and row["estimator"] in defaults.index
        of_method = queries[row["estimator"], row["protocol"]]
        return _measure_method(row, of_method, results.calibration, resamples, is_default)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(measure, [row for _, row in rows.iterrows()]))


def _measure_method(
    row: pd.Series, queries: pd.DataFrame, calibration: pd.DataFrame, resamples: _Resamples, is_default: bool
) -> Method:
    hit = queries[HIT_COLUMNS[row["positives"]]].to_numpy(dtype=bool)
    ordered = SortedQueries(queries["uncertainty"].to_numpy(), hit, resamples.cluster)
    curve = measure_precision(ordered, resamples.weights, resamples.answered, resamples.level)
    estimator = get_estimator(row["estimator"])
    return Method(
        id=f"{row['posterior']}/{estimator.name}",
        posterior=row["posterior"],
        estimator=estimator.name,
        label=labels.format_name(estimator.name),
        source=f"{estimator.citation.short}, {estimator.location}",
        definition=estimator.confidence,
        is_default=is_default,
        measures={name: measured(row, name) for name in MEASURES},
        errors=[int(count) if float(count).is_integer() else round(float(count), 2) for count in curve.errors],
        low=_round(curve.low),
        high=_round(curve.high),
        calibration=_bins(row, calibration),
    )


def _bins(row: pd.Series, calibration: pd.DataFrame) -> Calibration:
    names = ("direction", "estimator", "protocol", "binning", "positives")
    bins = select_rows(calibration, **{name: row[name] for name in names}).sort_values("level")
    return Calibration(
        [int(level) for level in bins["level"]],
        [round(float(recall), 6) for recall in bins["recall_at_1"]],
        [int(count) for count in bins["n_queries"]],
    )


def _round(numbers: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in numbers]
