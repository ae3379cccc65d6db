"""How often do intervals of calibration errors contain the value of infinitely many images? A simulation.

The table in docs/evaluation.md: `PYTHONPATH=scripts:tests python -m helpers.ece_simulation`.
"""

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.probabilities import measure_probabilities
from overtop.evaluation.significance import symmetric_interval

LEVEL = 0.95
MEASURES = ("ece_width", "ece_mass")
SHARPNESS = {"calibrated": 1.0, "slightly over-confident": 1.3, "over-confident": 2.5}
"""Factor between the logit of the chance of a hit and that of the confidence."""


def draw_predictions(sharpness, rng, n):
    """Return predictions of n images whose confidences are 0.1 to 1, as those of ten classes."""
    chance = 0.1 + 0.9 * rng.beta(1.5, 1.0, n)
    confidence = expit(sharpness * logit(np.clip(chance, 1e-6, 1 - 1e-6)))
    return pd.DataFrame(
        {
            "hit": rng.random(n) < chance,
            "confidence": confidence,
            "uncertainty": -np.log(confidence),
            "nll": 0.0,
            "brier": 0.0,
        }
    )


def simulate(sharpness, images, repetitions, resamples, infinite=2_000_000):
    """Return the true value of each measure, the mean of the measured ones, and the coverage of two constructions.

    Args:
        sharpness: one of the values of `SHARPNESS`.
        images: number of images.
        repetitions: number of simulated samples.
        resamples: number of bootstrap resamples of each.
        infinite: number of images whose measures count as true; a calibrated model has 0.
    """
    rng = np.random.default_rng(0)
    true = measure_probabilities(draw_predictions(sharpness, rng, infinite))
    rows = []
    for seed in range(repetitions):
        weights = draw_cluster_weights(images, resamples, seed)
        measured = measure_probabilities(draw_predictions(sharpness, rng, images), weights)
        for name in MEASURES:
            value, draws = measured[name][0], measured[name][1:]
            low, high = symmetric_interval(value, draws, LEVEL, (0, 1))
            lower, upper = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            exact = 0.0 if sharpness == 1 else true[name][0]
            row = {"measure": name, "true": exact, "measured": value}
            rows.append(row | {"symmetric": low <= exact <= high, "percentile": lower <= exact <= upper})
    return pd.DataFrame(rows).groupby("measure", sort=False).mean()


if __name__ == "__main__":
    for label, factor in SHARPNESS.items():
        for number, count in ((200, 400), (1000, 400), (5000, 200)):
            print(f"{label}, {number} images\n{simulate(factor, number, count, 500).round(3)}\n")
