"""Paired differences between methods on the same queries, with tests, next to the differences that the paper reports.

A method is an estimator under a posterior. A panel is one direction under one protocol.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from overtop.config.evaluation import EvaluationSpec
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import bootstrap_compared_measures, draw_cluster_weights
from overtop.evaluation.calibration import measure_calibration
from overtop.evaluation.distinct import Content, map_distinct
from overtop.evaluation.inputs import validate_scores
from overtop.evaluation.ordering import SortedQueries
from overtop.evaluation.selective import measure_selective_prediction
from overtop.evaluation.significance import Bounds, adjust_holm, bootstrap_p_value, symmetric_interval
from overtop.evaluation.verdicts import paper_verdict
from overtop.reference.paper import PaperTable
from overtop.seeds import derive_seed
from overtop.terms import ESTIMATORS, Protocol

MAX_METHODS = 12
"""Methods of a panel that are compared pairwise: 66 pairs. With more pairs, Holm's adjustment leaves few significant
differences, and the table becomes unreadable."""

METHOD_COLUMNS = ["posterior", "kind", "architecture", "estimator"]
"""Columns that identify a method."""

COLUMNS = [
    "dataset", "direction", "protocol", "measure",
    *(f"{side}_{name}" for side in ("first", "second") for name in METHOD_COLUMNS),
    "n_queries", "n_clusters", "resamples", "difference", "low", "high", "p_value", "p_holm", "shown",
    "paper_difference", "verdict",
]  # fmt: skip
"""Columns of the table of differences. Measures are `neg_sr2`, -S R2 with bins of equal width, and `aurc`."""


@dataclass(frozen=True)
class Method:
    """An estimator under a posterior."""

    posterior: str
    kind: str
    architecture: str
    estimator: str

    def in_paper(self, paper: PaperTable) -> object:
        """Return the method of the paper's table that it corresponds to, or None."""
        return paper.method(self.estimator, self.kind, self.architecture)


@dataclass(frozen=True)
class _Queries:
    """Uncertainties and hits of a method under one protocol, both (Q,), sorted by query id."""

    uncertainty: np.ndarray
    hit: np.ndarray
    protocol: Protocol

    @cached_property
    def content(self) -> Content:
        """Equal for queries whose measures are equal."""
        return self.uncertainty.tobytes(), self.hit.tobytes(), self.protocol.encode()


_DIFFERENCE_BOUNDS: dict[str, Bounds] = {"neg_sr2": (-2, 2), "aurc": (-1, 1)}
"""Smallest and largest possible difference of each measure."""

_Panels = Mapping[str, Mapping[Method, _Queries]]
"""Queries of one direction by protocol and method."""


@dataclass(frozen=True)
class _Measurement:
    """Each measure of a method by name, and its values (B,) in the resamples."""

    values: dict[str, float]
    draws: dict[str, np.ndarray]


def compare_methods(
    scores: pd.DataFrame,
    spec: EvaluationSpec,
    seed: int,
    paper: PaperTable | None = None,
    benchmark: str | None = None,
    threads: int = 1,
) -> pd.DataFrame:
    """Compare every pair of methods of every panel, on the same resamples of the images.

    The first resamples are those of `metrics.evaluate` with the same seed. More are drawn where otherwise Holm's
    adjustment for all pairs would leave no p-value below the level, however large the difference.

    Args:
        scores: score tables (`estimators.scoring`) of several posteriors on one split, with the additional columns
            `posterior`, `kind` and `architecture`. Only labelled positives are used.
        spec: bins, and the bootstrap.
        seed: of the resamples.
        paper: table whose methods are compared; all methods are, if it is None or contains none of them. At most
            `MAX_METHODS` methods are compared: the first in the order of estimators, then of posteriors.
        benchmark: the columns of `paper` that apply to this data set, or None.
        threads: number of threads; the result does not depend on it.

    Returns:
        `COLUMNS` without `dataset`; one row per panel, measure and pair. `difference` is the value of the first method
        minus that of the second, with its interval; missing where -S R2 of either is not defined. `p_value` tests that
        it is zero, and `p_holm` is adjusted for all pairs of a panel. `shown` is true if `p_holm` is below 1 - the
        level of the interval, which then excludes zero on the side of the difference. `paper_difference` is the paper's
        difference in -S R2 and `verdict` one of `verdicts.VERDICTS`; both are missing for pairs that are not in the
        paper.

    Raises:
        OvertopError: the posteriors were scored on different queries, or an uncertainty is not finite.
    """
    rows: list[dict[str, Any]] = []
    for direction, of_direction in scores.groupby("direction", sort=False):
        panels, cluster = _panels(of_direction, paper)
        resamples = _required_resamples(panels, spec)
        weights = draw_cluster_weights(cluster.max() + 1, resamples, derive_seed(seed, direction))
        facts = {"direction": direction, "n_queries": len(cluster), "n_clusters": weights.shape[1]}
        for protocol, measurements in _measure_panels(panels, cluster, weights, spec, threads).items():
            for pair in combinations(measurements, 2):
                reported = {"neg_sr2": _paper_difference(pair, paper, benchmark, str(direction))}
                for row in _difference_rows(pair, [measurements[method] for method in pair], spec.bootstrap.level):
                    row |= facts | {"protocol": protocol, "paper_difference": reported.get(row["measure"], np.nan)}
                    rows.append(row)
    return _decide(pd.DataFrame(rows, columns=COLUMNS[1:]), round(1 - spec.bootstrap.level, 12))  # 0.05, not a bit more


def _panels(scores: pd.DataFrame, paper: PaperTable | None) -> tuple[_Panels, np.ndarray]:
    """Compared methods of each protocol in the scores of one direction, and the cluster (Q,) of each query."""
    first, panels = None, dict[str, dict[Method, _Queries]]()
    for protocol, rows in scores.groupby("protocol", sort=False):
        rows_by_method = {Method(*key): of_method for key, of_method in rows.groupby(METHOD_COLUMNS, sort=False)}
        panels[str(protocol)] = {}
        for method in _select_methods(list(rows_by_method), paper):
            queries = rows_by_method[method].sort_values("query_id")
            first = queries if first is None else first
            if not np.array_equal(queries["query_id"], first["query_id"]):
                raise OvertopError(
                    f"{method.estimator} of posterior {method.posterior} ({protocol}, {queries['direction'].iloc[0]}) "
                    f"was scored on other queries than posterior {first['posterior'].iloc[0]}; "
                    "score both again with the same skipped items"
                )
            panels[str(protocol)][method] = _Queries(*validate_scores(queries["uncertainty"], queries["hit"]), protocol)
    assert first is not None, "a direction has scores"
    return panels, pd.factorize(first["image_id"], sort=True)[0]


def _select_methods(methods: Sequence[Method], paper: PaperTable | None) -> list[Method]:
    """Methods to compare, in their given order."""
    in_paper = [method for method in methods if paper is not None and method.in_paper(paper)]
    candidates = in_paper or methods
    selected = sorted(candidates, key=lambda method: ESTIMATORS.index(method.estimator))[:MAX_METHODS]
    return [method for method in candidates if method in selected]


def _required_resamples(panels: _Panels, spec: EvaluationSpec) -> int:
    """Number of resamples B with which the smallest possible p-value, 1 / (B + 1), stays below a quarter of the level
    of the tests after multiplication by the number of pairs."""
    pairs = max(math.comb(len(methods), 2) for methods in panels.values())
    return max(spec.bootstrap.resamples, math.ceil(4 * pairs / (1 - spec.bootstrap.level)))


def _measure_panels(
    panels: _Panels, cluster: np.ndarray, weights: np.ndarray, spec: EvaluationSpec, threads: int
) -> dict[str, dict[Method, _Measurement]]:
    """Measurements of every method by protocol."""

    def measure(queries: _Queries) -> _Measurement:
        calibration = measure_calibration(queries.uncertainty, queries.hit, spec.bins, protocol=queries.protocol)
        selective = measure_selective_prediction(queries.uncertainty, queries.hit, spec.precision)
        sorted_queries = SortedQueries(queries.uncertainty, queries.hit, cluster)
        return _Measurement(
            {"neg_sr2": calibration.neg_sr2, "aurc": selective.aurc},
            bootstrap_compared_measures(sorted_queries, weights, spec.bins, queries.protocol),
        )

    queries = (queries for methods in panels.values() for queries in methods.values())
    measurements = map_distinct(measure, queries, threads)
    return {
        protocol: {method: measurements[queries.content] for method, queries in methods.items()}
        for protocol, methods in panels.items()
    }


def _difference_rows(
    pair: Sequence[Method], measurements: Sequence[_Measurement], level: float
) -> Iterator[dict[str, Any]]:
    """One row per measure of a pair."""
    names = {
        f"{side}_{name}": value
        for side, method in zip(("first", "second"), pair, strict=True)
        for name, value in asdict(method).items()
    }
    first, second = measurements
    for measure, value in first.values.items():
        difference = value - second.values[measure]
        draws = first.draws[measure] - second.draws[measure]
        low, high = symmetric_interval(difference, draws, level, _DIFFERENCE_BOUNDS[measure])
        yield names | {
            "measure": measure,
            "resamples": len(draws),
            "difference": difference,
            "low": low,
            "high": high,
            "p_value": bootstrap_p_value(difference, draws),
        }


def _paper_difference(pair: Sequence[Method], paper: PaperTable | None, benchmark: str | None, direction: str) -> float:
    """The paper's difference in -S R2; NaN if the paper does not report both methods, or they are one to it."""
    if paper is None or pair[0].in_paper(paper) == pair[1].in_paper(paper):
        return np.nan
    values = [paper.value(m.estimator, m.kind, m.architecture, benchmark, direction) for m in pair]
    reported = [value.neg_sr2 for value in values if value is not None]
    return round(reported[0] - reported[1], 2) if len(reported) == len(pair) else np.nan


def _decide(table: pd.DataFrame, significance_level: float) -> pd.DataFrame:
    """Fill in `p_holm`, `shown` and `verdict`."""
    family = ["direction", "protocol", "measure"]
    table["p_holm"] = table.groupby(family)["p_value"].transform(lambda p: adjust_holm(p.to_numpy()))
    table["shown"] = table["p_holm"] < significance_level
    columns = table[["shown", "difference", "paper_difference"]].itertuples(index=False, name=None)
    verdicts = [np.nan if np.isnan(row[2]) else paper_verdict(*row) for row in columns]
    return table.assign(verdict=pd.Series(verdicts, dtype=object))
