"""How often do intervals contain the value of infinitely many queries? A simulation of four constructions.

The table in docs/evaluation.md: `PYTHONPATH=scripts:tests python -m helpers.interval_simulation`.
"""

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from overtop.evaluation.bootstrap import bootstrap_measures, draw_cluster_weights
from overtop.evaluation.ordering import SortedQueries
from overtop.evaluation.significance import symmetric_interval

LEVEL = 0.95
N_BINS = 10
PRECISION = 0.9
SIGNED = ("spearman", "neg_sr2", "tau_b")
MODELS = {
    "bell": (lambda rng, n: rng.beta(5, 5, n), lambda u: expit(5 - 8.5 * u)),
    "skewed": (lambda rng, n: rng.beta(1, 6, n), lambda u: expit(3.2 - 12 * u)),
    "votes": (lambda rng, n: rng.binomial(10, rng.beta(1, 2, n)) / 10, lambda u: expit(2.6 - 5.5 * u)),
    "weak": (lambda rng, n: rng.beta(2, 5, n), lambda u: expit(0.6 - u)),
    "constant": (lambda rng, n: rng.beta(2, 5, n), lambda u: np.full(len(u), 0.8)),
}
"""Distribution of the uncertainty, and the probability of a hit."""


def draw_queries(model, rng, n):
    """Return uncertainties and hits of n queries."""
    draw, probability = MODELS[model]
    uncertainty = draw(rng, n)
    return uncertainty, rng.random(n) < probability(uncertainty)


def simulate(model, queries, repetitions, resamples, infinite=300_000):
    """Return the share of intervals that contain the true value: a row per measure, a column per construction.

    Args:
        model: name of one of `MODELS`.
        queries: number of queries.
        repetitions: number of simulated samples.
        resamples: number of bootstrap resamples of each.
        infinite: number of queries whose measures count as true.
    """
    rng = np.random.default_rng(0)
    true = _measure(*draw_queries(model, rng, infinite), np.ones((1, infinite)))
    contained = []
    for seed in range(repetitions):
        uncertainty, hit = draw_queries(model, rng, queries)
        values = _measure(uncertainty, hit, np.ones((1, queries)))
        draws = _measure(uncertainty, hit, draw_cluster_weights(queries, resamples, seed))
        for name, value in values.items():
            bounds = (-1 if name in SIGNED else 0, 1)
            for construction, (low, high) in _intervals(value[0], draws[name], bounds).items():
                inside = low - 1e-9 <= true[name][0] <= high + 1e-9
                contained.append({"measure": name, "construction": construction, "inside": inside})
    return pd.DataFrame(contained).pivot_table("inside", "measure", "construction", aggfunc="mean", sort=False)


def _measure(uncertainty, hit, weights):
    draws = bootstrap_measures(SortedQueries(uncertainty, hit), weights, N_BINS, PRECISION, {})
    return {name: values for (name, variant), values in draws.items() if variant in ("", "equal_width corrected")}


def _intervals(value, draws, bounds):
    defined = draws[np.isfinite(draws)]
    tails = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    percentiles = np.quantile(defined, tails)
    below = ((defined < value).sum() + (defined == value).sum() / 2 + 0.5) / (len(defined) + 1)
    return {
        "percentile": percentiles,
        "basic": np.clip(2 * value - percentiles[::-1], *bounds),
        "BC": np.quantile(defined, norm.cdf(2 * norm.ppf(below) + norm.ppf(tails))),
        "symmetric": symmetric_interval(value, draws, LEVEL, bounds),
    }


if __name__ == "__main__":
    for queries, repetitions in ((200, 500), (1000, 300), (5000, 100)):
        for model in MODELS:
            print(
                queries, model, simulate(model, queries, repetitions, 1000).round(2).to_string(), sep="\n", flush=True
            )
