"""The exact confidence interval of a proportion.

Apart from `significance`, because importing scipy.stats takes a second that most stages need not spend.
"""

from scipy.stats import beta


def exact_interval(successes: int, trials: int, level: float) -> tuple[float, float]:
    """Confidence interval of a proportion by Clopper and Pearson; [0, 1] without trials."""
    # scipy.stats.binomtest finds the same limits by root search, which changes their last digits.
    tail = (1 - level) / 2
    low = beta.ppf(tail, successes, trials - successes + 1) if successes else 0.0
    high = beta.ppf(1 - tail, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)
