"""Operating points in a few lines, for the summary of a run."""

import numpy as np
import pandas as pd

from overtop import labels
from overtop.confidence.candidates import default_estimator


def operating_summary(table: pd.DataFrame) -> list[str]:
    """One line per direction and target: what is answered by one estimator, or how many queries it would take.

    The estimator is the default one of confidence models without a bank, or else the first; results do not choose it.

    Args:
        table: `results/operating/D/S/P.csv`.
    """
    rows = table[(table["form"] == "guaranteed_precision") & (table["positives"] == "labelled")]
    rows = rows[rows["protocol"] == "corrected"]
    estimators = list(rows["estimator"].unique())
    shown = next((name for name in (default_estimator(has_bank=False), *estimators) if name in estimators), None)
    return [_describe(row) for _, row in rows[rows["estimator"] == shown].iterrows()]


def _describe(row: pd.Series) -> str:
    method = f"{labels.capitalise(labels.format_name(str(row['direction'])))}, {labels.format_name(row['estimator'])}"
    target = f"{method}: R@1 of at least {row['target']:g}"
    if row["threshold"] > -np.inf:
        achieved = f", R@1 {labels.format_measure(row, 'achieved')}" if row["coverage"] else ""
        return f"{target} by answering {100 * row['coverage']:.0f} % of the test queries{achieved}"
    n = labels.format_count(int(row["n_validation"]), "validation query")
    if np.isinf(row["n_needed"]):
        return f"{target} cannot be guaranteed: it is reached at no coverage of {n}"
    return f"{target} cannot be guaranteed by {n}; at least about {row['n_needed']:,.0f} are needed"
