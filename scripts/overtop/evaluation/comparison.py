"""Which differences between methods are more than the luck of the queries: ours, and those that the paper shows."""

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from overtop.config.evaluation import EvaluationSpec
from overtop.errors import OvertopError
from overtop.estimators.registry import ESTIMATORS
from overtop.evaluation.bootstrap import draw_clusters, resampled_for_comparison
from overtop.evaluation.calibration import calibrate
from overtop.evaluation.inputs import checked
from overtop.evaluation.ordering import Ordering
from overtop.evaluation.selective import selective_measures
from overtop.evaluation.significance import holm, interval, p_value
from overtop.reference.paper import PaperTable
from overtop.seeds import derive_seed

MOST = 12
"""Methods of a panel that are compared, each with each: 66 pairs. Of more there is little to be found after Holm's
adjustment, and less to be read."""

METHOD = ["posterior", "kind", "architecture", "estimator"]

COLUMNS = [
    "dataset", "direction", "protocol", "measure",
    *(f"{which}_{name}" for which in ("first", "second") for name in METHOD),
    "n_queries", "n_clusters", "resamples", "difference", "low", "high", "p_value", "p_holm", "shown",
    "paper_difference", "verdict",
]  # fmt: skip
"""Of the table of differences. Measures are `neg_sr2`, -S R2 with bins of equal width, and `aurc`."""


@dataclass(frozen=True)
class Method:
    """An estimator under a posterior."""

    posterior: str
    kind: str
    architecture: str
    estimator: str

    def row(self, paper: PaperTable) -> object:
        """Its row in the paper's table, None if that has none."""
        return paper.row(self.estimator, self.kind, self.architecture)


@dataclass(frozen=True)
class _Queries:
    """A method's queries under one protocol."""

    uncertainty: np.ndarray
    hit: np.ndarray

    @cached_property
    def content(self) -> tuple[bytes, bytes]:
        return self.uncertainty.tobytes(), self.hit.tobytes()


@dataclass(frozen=True)
class _Measured:
    """The value of each of `MEASURES`, and its values (B,) in the resamples."""

    values: dict[str, float]
    draws: dict[str, np.ndarray]


def compare(
    scores: pd.DataFrame,
    spec: EvaluationSpec,
    seed: int,
    paper: PaperTable | None = None,
    benchmark: str | None = None,
    threads: int = 1,
) -> pd.DataFrame:
    """Every pair of methods of every panel (direction and protocol), on the same resamples of its images.

    Resamples are those of `metrics.evaluate` under the same seed, and further ones where these are too few for Holm's
    adjustment of so many pairs to fall below the level, whatever the differences.

    Args:
        scores: as the `score` rule writes them, of several posteriors on one split, with `posterior`, `kind` and
            `architecture` beside. Labelled positives alone are looked at.
        spec: bins, and the bootstrap.
        seed: of the resamples.
        paper: table whose methods are compared; all, where it is not given or has none of them. Of more than `MOST` the
            first are taken, in the order of estimators, then of posteriors.
        benchmark: the columns of `paper` that apply to this data set, None for none.
        threads: how many to use; the result does not depend on it.

    Returns:
        `COLUMNS` but for the data set; a row per panel, measure and pair. `difference` is the first method's value less
        the second's, with its interval. `p_value` tests that it is zero, `p_holm` is adjusted for all pairs of a panel.
        It is `shown` where the interval excludes zero, and the difference lies on the same side of it (-S R2 of few
        queries is biased in resamples, so that the interval may miss it). `paper_difference` is what the paper says, of
        -S R2, and `verdict` what becomes of that: `survives`, `reversed` (shown, with the other sign), `not shown`, or
        `tie` where the paper has no difference either. Both are missing where the paper has no such pair.

    Raises:
        OvertopError: the posteriors were scored on different queries, or an uncertainty is not finite.
    """
    rows: list[dict[str, object]] = []
    for direction, of_direction in scores.groupby("direction", sort=False):
        panels, cluster = _panels(of_direction, paper)
        weights = draw_clusters(cluster.max() + 1, _enough(panels, spec), derive_seed(seed, direction))
        facts = {"direction": direction, "n_queries": len(cluster), "n_clusters": weights.shape[1]}
        for protocol, measured in _measured(panels, cluster, weights, spec, threads).items():
            for pair in combinations(measured, 2):
                for row in _rows(pair, [measured[method] for method in pair], spec.bootstrap.level):
                    row |= facts | {"protocol": protocol}
                    rows.append(row | _held(row, pair, paper, benchmark))
    table = pd.DataFrame(rows, columns=COLUMNS[1:])
    panel = ["direction", "protocol", "measure"]
    table["p_holm"] = table.groupby(panel)["p_value"].transform(lambda p: holm(p.to_numpy()))
    return table


def verdict(shown: bool, difference: float, paper: float) -> str:
    """What becomes of a difference of the paper's: `survives`, `reversed`, `not shown`, or `tie` if it is none."""
    if paper == 0:
        return "tie"
    if not shown:
        return "not shown"
    return "survives" if (difference > 0) == (paper > 0) else "reversed"


def _panels(scores: pd.DataFrame, paper: PaperTable | None) -> tuple[dict[str, dict[Method, _Queries]], np.ndarray]:
    """The methods of each protocol that are compared, and the cluster (Q,) of each query."""
    first, panels = None, dict[str, dict[Method, _Queries]]()
    for protocol, rows in scores.groupby("protocol", sort=False):
        found = {Method(*key): of_method for key, of_method in rows.groupby(METHOD, sort=False)}
        panels[str(protocol)] = {}
        for method in _chosen(list(found), paper):
            queries = found[method].sort_values("query_id")
            first = queries if first is None else first
            if not np.array_equal(queries["query_id"], first["query_id"]):
                raise OvertopError(
                    f"{method.estimator} of posterior {method.posterior} ({protocol}, {queries['direction'].iloc[0]}) "
                    f"was scored on other queries than posterior {first['posterior'].iloc[0]}; score them again, "
                    "with the same items skipped"
                )
            panels[str(protocol)][method] = _Queries(*checked(queries["uncertainty"], queries["hit"]))
    assert first is not None, "a direction has scores"
    return panels, pd.factorize(first["image_id"], sort=True)[0]


def _chosen(methods: Sequence[Method], paper: PaperTable | None) -> list[Method]:
    """Those that are compared, in the order in which they come."""
    known = [method for method in methods if paper is not None and method.row(paper)]
    wanted = known or methods
    order = list(ESTIMATORS)
    first = sorted(wanted, key=lambda method: order.index(method.estimator))[:MOST]
    return [method for method in wanted if method in first]


def _enough(panels: Mapping[str, Mapping[Method, _Queries]], spec: EvaluationSpec) -> int:
    """So many resamples that the smallest p-value there can be, 2 / (B + 1), stays below half the level of the tests
    when it is multiplied by the number of pairs."""
    pairs = max(math.comb(len(methods), 2) for methods in panels.values())
    return max(spec.bootstrap.resamples, math.ceil(4 * pairs / (1 - spec.bootstrap.level)))


def _measured(
    panels: Mapping[str, Mapping[Method, _Queries]],
    cluster: np.ndarray,
    weights: np.ndarray,
    spec: EvaluationSpec,
    threads: int,
) -> dict[str, dict[Method, _Measured]]:
    def measure(queries: _Queries) -> _Measured:
        calibration = calibrate(queries.uncertainty, queries.hit, spec.bins)
        selective = selective_measures(queries.uncertainty, queries.hit, spec.precision)
        ordering = Ordering(queries.uncertainty, queries.hit, cluster)
        return _Measured(
            {"neg_sr2": calibration.neg_sr2, "aurc": selective.aurc},
            resampled_for_comparison(ordering, weights, spec.bins),
        )

    # Most estimators are the same under both protocols: what was drawn for one serves the other.
    distinct = {queries.content: queries for methods in panels.values() for queries in methods.values()}
    with ThreadPoolExecutor(threads) as pool:
        found = dict(zip(distinct, pool.map(measure, distinct.values()), strict=True))
    return {
        protocol: {method: found[queries.content] for method, queries in methods.items()}
        for protocol, methods in panels.items()
    }


def _rows(pair: Sequence[Method], measured: Sequence[_Measured], level: float) -> Iterator[dict[str, Any]]:
    """What is found of a pair, measure by measure."""
    names = {
        f"{which}_{name}": value
        for which, method in zip(("first", "second"), pair, strict=True)
        for name, value in asdict(method).items()
    }
    first, second = measured
    for measure, value in first.values.items():
        difference = value - second.values[measure]
        drawn = first.draws[measure] - second.draws[measure]
        low, high = interval(drawn, level)
        yield names | {
            "measure": measure,
            "resamples": len(drawn),
            "difference": difference,
            "low": low,
            "high": high,
            "p_value": p_value(drawn),
            "shown": (low > 0 and difference > 0) or (high < 0 and difference < 0),
        }


def _held(
    row: Mapping[str, Any], pair: Sequence[Method], paper: PaperTable | None, benchmark: str | None
) -> dict[str, object]:
    """What the paper says of a pair, and what becomes of it."""
    if paper is None or row["measure"] != "neg_sr2" or pair[0].row(paper) == pair[1].row(paper):
        return {}
    values = [paper.value(m.estimator, m.kind, m.architecture, benchmark, row["direction"]) for m in pair]
    known = [value.neg_sr2 for value in values if value is not None]
    if len(known) < len(pair):
        return {}
    difference = round(known[0] - known[1], 2)
    return {"paper_difference": difference, "verdict": verdict(row["shown"], row["difference"], difference)}
