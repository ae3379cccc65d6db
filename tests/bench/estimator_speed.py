"""Time of each estimator next to the plain loop that defines it, and the largest difference of their values."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd

from bench.estimator_references import PGD_BY_AUTOGRAD, REFERENCES, RankedQuery, ReferenceRanker
from bench.ranking_pass import CPU, TEMPERATURES, TOP, rank_embeddings
from bench.sizes import BenchmarkSizes
from bench.synthetic_embeddings import make_embeddings
from bench.targets import PartResult, TargetCheck, check_target
from bench.timing import time_interleaved
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.registry import REGISTRY, missing_requirement
from overtop.estimators.scoring import compute_uncertainty
from overtop.radius.compute import compute_radii
from overtop.radius.exact import boundary_distances
from overtop.radius.geometry import Space
from overtop.radius.linear import linear_distances
from overtop.radius.pgd import pgd_distances
from overtop.retrieval.exact import rank
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.sources import average_samples, queries_and_gallery
from overtop.storage.shards import EmbeddingSource
from overtop.terms import DIRECTIONS, Direction, Protocol

Argument, Value = TypeVar("Argument"), TypeVar("Value")

PROTOCOL: Protocol = "published"
"""The definitions of the papers, which the plain loops compute."""
MIN_SPEEDUPS = {"adversarial_exact": 1000.0, "adversarial_pgd": 100.0}
MAX_DIFFERENCE = 1e-4
PASS_REPEATS = 3
"""How often the ranking and radius passes, which the estimators use, are timed."""
RANKING, MEAN_RANKING = "ranking", "ranking of the means"
EXACT_RADIUS, PGD_RADIUS = "exact and linear radius", "PGD radius"
PASSES_OF_ESTIMATOR: dict[str, tuple[str, str | None]] = {
    "adversarial_exact": (MEAN_RANKING, EXACT_RADIUS),
    "adversarial_linear": (MEAN_RANKING, EXACT_RADIUS),
    "adversarial_pgd": (MEAN_RANKING, PGD_RADIUS),
}
"""The ranking and radius passes that an estimator needs under `PROTOCOL`; the others need `RANKING` only."""


def run(sizes: BenchmarkSizes) -> PartResult:
    """Time all estimators and the passes that they use, in both directions, and the plain loops on a few queries."""
    images, texts = make_embeddings(sizes.captions, sizes.images, sizes.samples, sizes.dim)
    rankings = rank_embeddings(images, texts)
    radii = compute_radii(images, texts, rankings, device=CPU)
    inputs = {d: EstimatorInputs(rankings[d], radii[d], temperatures=TEMPERATURES) for d in DIRECTIONS}
    names = [name for name, spec in REGISTRY.items() if not missing_requirement(spec, inputs["t2i"], PROTOCOL)]
    calls = {
        name: lambda name=name: [compute_uncertainty(name, inputs[d], PROTOCOL) for d in DIRECTIONS] for name in names
    }
    pass_times = time_interleaved(_passes(images, texts, rankings), PASS_REPEATS)
    times = pd.concat([pass_times, time_interleaved(calls, sizes.repeats)]).rename_axis("name")
    references = _measure_references(images, texts, inputs, sizes.reference_queries)
    table = _add_speedups(references, times["min_s"])
    return PartResult(
        {"estimators": table, "estimators_ours": times.reset_index()},
        [*(_check_speedup(table, name, target) for name, target in MIN_SPEEDUPS.items()), check_difference(table)],
    )


def _passes(
    images: EmbeddingSource, texts: EmbeddingSource, rankings: Mapping[Direction, Ranking]
) -> dict[str, Callable[[], object]]:
    """Return the passes that estimators use, each over both directions, and the one that computes all radii."""
    means = average_samples(images), average_samples(texts)
    mean_rankings = rank(*means, TOP, vote_top=1, device=CPU)
    norms = {d: np.linalg.norm(source.read(0, 0, source.n_items), axis=1) for d, (source, _) in _directions(*means)}

    def spaces() -> Iterator[tuple[Direction, Space]]:  # new for each call, since a space caches what it computes
        return ((d, Space(*sources, mean_rankings[d], CPU)) for d, sources in _directions(*means))

    return {
        RANKING: lambda: rank_embeddings(images, texts),
        MEAN_RANKING: lambda: rank(average_samples(images), average_samples(texts), TOP, vote_top=1, device=CPU),
        EXACT_RADIUS: lambda: [(boundary_distances(space), linear_distances(space)) for _, space in spaces()],
        PGD_RADIUS: lambda: [pgd_distances(space, norms[d]) for d, space in spaces()],
        "all radii of both protocols": lambda: compute_radii(images, texts, rankings, device=CPU),
    }


def _directions(
    images: EmbeddingSource, texts: EmbeddingSource
) -> Iterator[tuple[Direction, tuple[EmbeddingSource, EmbeddingSource]]]:
    """Yield each direction with its queries and gallery."""
    return ((d, queries_and_gallery(d, images, texts)) for d in DIRECTIONS)


def _measure_references(
    images: EmbeddingSource, texts: EmbeddingSource, inputs: Mapping[Direction, EstimatorInputs], n_queries: int
) -> pd.DataFrame:
    """Run the plain loops on a few queries of each direction.

    Returns:
        One row per reference and estimator: seconds extrapolated to all queries of both directions, and the largest
        difference of the uncertainties.
    """
    rows = []
    for direction, (queries, gallery) in _directions(images, texts):
        selected = np.linspace(0, queries.n_items - 1, n_queries).astype(int)
        scale = queries.n_items / n_queries
        ranked, ranking_s = _time_each(ReferenceRanker(queries, gallery, selected).rank, range(n_queries))
        rows += _reference_rows(ranked, inputs[direction], selected, scale, ranking_s)
    sums = dict.fromkeys(["reference_s", "reference_ranking_s", "queries"], "sum")
    keys = ["estimator", "reference", "same_definition"]
    return pd.DataFrame(rows).groupby(keys, as_index=False, sort=False).agg({**sums, "largest_difference": "max"})


def _reference_rows(
    ranked: list[RankedQuery], inputs: EstimatorInputs, selected: np.ndarray, scale: float, ranking_s: float
) -> Iterator[dict[str, object]]:
    for reference in REFERENCES:
        values, seconds = _time_each(reference.uncertainty, ranked)
        for estimator in reference.estimators + reference.also:
            yield {
                "estimator": estimator,
                "reference": reference.description,
                "same_definition": estimator in reference.estimators,
                "reference_s": seconds * scale,
                "reference_ranking_s": ranking_s * scale if reference.needs_ranking else 0.0,
                "largest_difference": np.abs(compute_uncertainty(estimator, inputs, PROTOCOL)[selected] - values).max(),
                "queries": len(ranked),
            }


def _time_each(function: Callable[[Argument], Value], arguments: Sequence[Argument]) -> tuple[list[Value], float]:
    """Return the values of a function for all arguments and its seconds, for each argument the faster of two calls."""
    values, seconds = [], 0.0
    for argument in arguments:
        start = time.perf_counter()
        function(argument)
        middle = time.perf_counter()
        values.append(function(argument))
        seconds += min(middle - start, time.perf_counter() - middle)
    return values, seconds


def _add_speedups(references: pd.DataFrame, seconds: pd.Series) -> pd.DataFrame:
    """Add the library's times: `speedup` is given the rankings, `speedup_with_ranking` starts from the embeddings."""
    passes = [PASSES_OF_ESTIMATOR.get(name, (RANKING, None)) for name in references["estimator"]]
    table = references.assign(
        estimator_s=references["estimator"].map(seconds),
        radius_s=[seconds[radius] if radius else 0.0 for _, radius in passes],
        ranking_s=[seconds[ranking] for ranking, _ in passes],
        note="reference extrapolated from " + references["queries"].astype(str) + " queries to all of both directions",
    )
    without_ranking = table["estimator_s"] + table["radius_s"]
    table["speedup"] = table["reference_s"] / without_ranking
    total_reference_s = table["reference_s"] + table["reference_ranking_s"]
    table["speedup_with_ranking"] = total_reference_s / (without_ranking + table["ranking_s"])
    return table


def _check_speedup(table: pd.DataFrame, estimator: str, target: float) -> TargetCheck:
    """Check the speedup given the ranking, and mention the one from the embeddings."""
    row = table.set_index(["estimator", "reference"]).loc[(estimator, PGD_BY_AUTOGRAD)]
    name = f"{estimator} given the ranking, speedup over {PGD_BY_AUTOGRAD}"
    check = check_target(name, row["speedup"], "at least", target)
    return replace(check, figure=f"{check.figure} ({row['speedup_with_ranking']:,.4g} with the ranking of the means)")


def check_difference(table: pd.DataFrame) -> TargetCheck:
    """Check the largest difference of an estimator from the plain loop that defines it."""
    worst = table[table["same_definition"]].nlargest(1, "largest_difference").iloc[0]
    name = f"estimators and their plain loops, largest difference ({worst['estimator']})"
    return check_target(name, worst["largest_difference"], "at most", MAX_DIFFERENCE)
