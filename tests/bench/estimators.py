"""What does each estimator cost beside the plain loop that defines it, and do the two agree?"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd

from bench.bars import Bar, Outcome, bar
from bench.embeddings import embeddings
from bench.passes import CPU, TEMPERATURES, TOP, ranked, sides
from bench.references import AUTOGRAD, REFERENCES, Plain
from bench.size import Size
from bench.timing import interleaved
from overtop.estimators.evidence import Evidence
from overtop.estimators.registry import ESTIMATORS, lacking, score
from overtop.radius.compute import radii
from overtop.radius.exact import boundary
from overtop.radius.geometry import Space
from overtop.radius.pgd import walk
from overtop.retrieval.exact import rank
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.vectors import mean_of
from overtop.storage.shards import EmbeddingSource
from overtop.terms import DIRECTIONS, Direction, Protocol

T, R = TypeVar("T"), TypeVar("R")

PROTOCOL: Protocol = "published"
"""The papers' own definitions, which their loops compute."""
SPEEDUPS = {"adversarial_exact": 1000.0, "adversarial_pgd": 100.0}
TOLERANCE = 1e-4
REPEATS = 3
"""How often the passes that estimators build on are timed."""
RANKING, MEANS, BOUNDARY, WALK = "ranking", "ranking of the means", "boundary (exact and linear)", "walk"
BUILT_ON: dict[str, tuple[str, str | None]] = {
    "adversarial_exact": (MEANS, BOUNDARY),
    "adversarial_linear": (MEANS, BOUNDARY),
    "adversarial_pgd": (MEANS, WALK),
}
"""The ranking and the radius that the adversarial estimators read under `PROTOCOL`; any other reads `RANKING`."""


def run(size: Size) -> Outcome:
    """Time every estimator in both directions and what it builds on, and its references on a few queries."""
    images, texts = embeddings(size.captions, size.images, size.samples, size.dim)
    rankings = ranked(images, texts)
    lengths = radii(images, texts, rankings, device=CPU)
    evidence = {d: Evidence(rankings[d], lengths[d], temperatures=TEMPERATURES) for d in DIRECTIONS}
    names = [name for name, one in ESTIMATORS.items() if not lacking(one, evidence["t2i"], PROTOCOL)]
    calls = {name: lambda name=name: [score(name, evidence[d], PROTOCOL) for d in DIRECTIONS] for name in names}
    passes = interleaved(_passes(images, texts, rankings), REPEATS)
    ours = pd.concat([passes, interleaved(calls, size.repeats)]).rename_axis("name")
    table = _table(ours["min_s"], _loops(images, texts, evidence, size.compared))
    tables = {"estimators": table, "estimators_ours": ours.reset_index()}
    return Outcome(tables, [*(_faster(table, name, target) for name, target in SPEEDUPS.items()), _agree(table)])


def _passes(
    images: EmbeddingSource, texts: EmbeddingSource, rankings: Mapping[Direction, Ranking]
) -> dict[str, Callable[[], object]]:
    """What estimators build on, both directions: the parts that one of them needs, and all radii of both protocols."""
    means = mean_of(images), mean_of(texts)
    by_mean = rank(*means, TOP, vote_top=1, device=CPU)
    length = {d: np.linalg.norm(source.read(0, 0, source.n_items), axis=1) for d, (source, _) in _both(*means)}

    def spaces() -> Iterator[tuple[Direction, Space]]:  # anew each time: a space remembers what it computed
        return ((d, Space(*pair, by_mean[d], CPU)) for d, pair in _both(*means))

    return {
        RANKING: lambda: ranked(images, texts),
        MEANS: lambda: rank(mean_of(images), mean_of(texts), TOP, vote_top=1, device=CPU),
        BOUNDARY: lambda: [boundary(space) for _, space in spaces()],
        WALK: lambda: [walk(space, length[d]) for d, space in spaces()],
        "radii (all three, both protocols)": lambda: radii(images, texts, rankings, device=CPU),
    }


def _both(
    images: EmbeddingSource, texts: EmbeddingSource
) -> Iterator[tuple[Direction, tuple[EmbeddingSource, EmbeddingSource]]]:
    return ((d, sides(d, images, texts)) for d in DIRECTIONS)


def _loops(
    images: EmbeddingSource, texts: EmbeddingSource, evidence: Mapping[Direction, Evidence], compared: int
) -> pd.DataFrame:
    """One row per reference x estimator: seconds for all queries of both directions, and the largest difference."""
    rows = []
    for direction, (queries, gallery) in _both(images, texts):
        known = evidence[direction]
        chosen = np.linspace(0, queries.n_items - 1, compared).astype(int)
        plain = Plain(queries, gallery, chosen)
        scale = queries.n_items / compared
        seen, ranking_s = _timed(plain.seen, range(compared))
        for reference in REFERENCES:
            values, seconds = _timed(reference.uncertainty, seen)
            for estimator in reference.estimators + reference.also:
                difference = np.abs(score(estimator, known, PROTOCOL)[chosen] - values).max()
                rows.append(
                    {
                        "estimator": estimator,
                        "reference": reference.words,
                        "same_definition": estimator in reference.estimators,
                        "reference_s": seconds * scale,
                        "reference_ranking_s": 0.0 if reference.searches else ranking_s * scale,
                        "largest_difference": difference,
                        "queries": compared,
                    }
                )
    sums = dict.fromkeys(["reference_s", "reference_ranking_s", "queries"], "sum")
    keys = ["estimator", "reference", "same_definition"]
    return pd.DataFrame(rows).groupby(keys, as_index=False, sort=False).agg({**sums, "largest_difference": "max"})


def _timed(call: Callable[[T], R], arguments: Sequence[T]) -> tuple[list[R], float]:
    """What a call gives for each argument, and the seconds for all, each argument's from the faster of two calls."""
    found, seconds = [], 0.0
    for argument in arguments:
        start = time.perf_counter()
        call(argument)
        middle = time.perf_counter()
        found.append(call(argument))
        seconds += min(middle - start, time.perf_counter() - middle)
    return found, seconds


def _table(ours: pd.Series, loops: pd.DataFrame) -> pd.DataFrame:
    """With what ours takes: `speedup` given the ranking on both sides, `speedup_with_ranking` from the embeddings."""
    built_on = [BUILT_ON.get(name, (RANKING, None)) for name in loops["estimator"]]
    table = loops.assign(
        estimator_s=loops["estimator"].map(ours),
        radius_s=[ours[radius] if radius else 0.0 for _, radius in built_on],
        ranking_s=[ours[ranking] for ranking, _ in built_on],
        note="reference extrapolated from " + loops["queries"].astype(str) + " queries to all of both directions",
    )
    given = table["estimator_s"] + table["radius_s"]
    table["speedup"] = table["reference_s"] / given
    table["speedup_with_ranking"] = (table["reference_s"] + table["reference_ranking_s"]) / (given + table["ranking_s"])
    return table


def _faster(table: pd.DataFrame, estimator: str, target: float) -> Bar:
    """The bar is on the estimator given the ranking; the figure says both."""
    row = table.set_index(["estimator", "reference"]).loc[(estimator, AUTOGRAD)]
    name = f"{estimator} given the ranking, times as fast as the loop by autograd"
    held = bar(name, row["speedup"], "at least", target)
    return replace(held, figure=f"{held.figure} ({row['speedup_with_ranking']:,.4g} with the ranking of the means)")


def _agree(table: pd.DataFrame) -> Bar:
    worst = table[table["same_definition"]].nlargest(1, "largest_difference").iloc[0]
    name = f"estimators and their definitions, largest difference ({worst['estimator']})"
    return bar(name, worst["largest_difference"], "at most", TOLERANCE)
