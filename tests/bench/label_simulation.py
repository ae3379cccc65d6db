"""Simulation of confidence models: how many labelled queries do thresholds and probabilities need?

`python tests/bench --only labels` writes one row per kind of search, number of labelled queries and target. A search
has an accuracy and a score with an AUROC: the log-odds of a hit are a + b z with standard normal z, which is the score.
"""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

from bench.sizes import BenchmarkSizes
from bench.targets import PartResult, check_target
from bench.threshold_simulation import LEVEL, TARGETS
from overtop.confidence.mappings import fit_mapping
from overtop.confidence.thresholds import guaranteed_threshold

SAMPLE_SIZES = (50, 100, 200, 500, 1_000, 2_000)
GRID = norm.ppf((np.arange(20_000) + 0.5) / 20_000)[::-1]
"""Scores of the population, each of the same weight, the most certain first."""


class Search(NamedTuple):
    """A search engine as its users see it.

    Attributes:
        accuracy: share of queries whose top-1 is right.
        auroc: of the score, for telling hits from misses.
    """

    accuracy: float
    auroc: float


SEARCHES = (Search(0.55, 0.88), Search(0.8, 0.85), Search(0.35, 0.85))
"""The first is `bank_nnn` on the CLIP embeddings of docs/estimators.md."""


def log_odds(search: Search) -> tuple[float, float]:
    """Intercept and slope of the log-odds of a hit for which a search has its accuracy and AUROC."""

    def intercept(slope: float) -> float:
        return brentq(lambda a: expit(a + slope * GRID).mean() - search.accuracy, -50, 50)

    def excess(slope: float) -> float:
        return auroc(expit(intercept(slope) + slope * GRID)) - search.auroc

    slope = brentq(excess, 1e-3, 20)
    return intercept(slope), slope


def auroc(chance: np.ndarray) -> float:
    """Probability that a random hit is more certain than a random miss.

    Args:
        chance: (N,) of a hit, of equally frequent queries, the most certain first.
    """
    hits, misses = chance / chance.sum(), (1 - chance) / (1 - chance).sum()
    return float(misses @ (np.cumsum(hits) - hits / 2))


def simulate(search: Search, n: int, target: float, draws: int, seed: int = 0) -> dict[str, float]:
    """Choose the threshold with `n` labelled queries in each of `draws` samples.

    Returns:
        `found`: share of samples with a threshold; `coverage`: mean share of all queries that are answered; `oracle`:
        the largest share whose precision reaches the target; `violated`: share of samples with a threshold whose
        precision is below the target.
    """
    a, b = log_odds(search)
    share = np.arange(1, len(GRID) + 1) / len(GRID)
    precision = np.cumsum(expit(a + b * GRID)) / np.arange(1, len(GRID) + 1)
    coverage = np.zeros(draws)
    for draw, (score, hit) in enumerate(_samples(a, b, n, draws, seed)):
        threshold = guaranteed_threshold(-score, hit, target, 1 - LEVEL)
        coverage[draw] = norm.cdf(threshold)  # a query is answered if its score is above -threshold
    good = share[precision >= target]
    return {
        "found": float((coverage > 0).mean()),
        "coverage": float(coverage.mean()),
        "oracle": float(good.max()) if good.size else 0.0,
        "violated": float(((coverage > 0) & (np.interp(coverage, share, precision) < target)).mean()),
    }


def mapping_error(search: Search, n: int, draws: int, seed: int = 0) -> float:
    """Mean distance of the probability by a logistic map from the true one, over new queries and `draws` samples.

    The logistic map has the right form here, so that this is the error of too few labels alone.
    """
    a, b = log_odds(search)
    population = GRID[:: len(GRID) // 500]
    chance = expit(a + b * population)
    errors = []
    for score, hit in _samples(a, b, n, draws, seed):
        mapping = fit_mapping("logistic", "top1_similarity", -score, hit)
        errors.append(abs(mapping.probability(-population) - chance).mean())
    return float(np.mean(errors))


def _samples(a: float, b: float, n: int, draws: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Scores and hits of `n` labelled queries; the same for every target."""
    rng = np.random.default_rng([seed, n])
    for _ in range(draws):
        score = rng.normal(size=n)
        yield score, rng.random(n) < expit(a + b * score)


def run(sizes: BenchmarkSizes) -> PartResult:
    """Simulate every kind of search with every number of labelled queries."""
    rows = []
    for search, n in product(SEARCHES, SAMPLE_SIZES):
        error = mapping_error(search, n, max(1, sizes.label_draws // 10))
        for target in TARGETS:
            key = {**search._asdict(), "n": n, "target": target, "draws": sizes.label_draws}
            rows.append(key | simulate(search, n, target, sizes.label_draws) | {"mapping_error": error})
    table = pd.DataFrame(rows)
    noise = 4 * (LEVEL * (1 - LEVEL) / sizes.label_draws) ** 0.5  # of the largest of 54 shares
    worst = table["violated"].max()
    return PartResult({"labels": table}, [check_target("labels: guarantee violated", worst, "at most", LEVEL + noise)])
