"""Rounding of the numbers in CSV tables, so that equal results have equal bytes on every machine."""

import pandas as pd

DECIMALS = 6
"""Decimals of every number in a CSV: far finer than any interval, far coarser than differences between machines."""

SIGNIFICANT_DIGITS = 6
"""Digits of numbers whose size is not known beforehand, such as uncertainties of any estimator."""


def round_floats(table: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with all float columns rounded to `DECIMALS`, without negative zeros."""
    floats = table.select_dtypes("float").columns
    return table.assign(**{column: table[column].round(DECIMALS) + 0.0 for column in floats})


def round_to_digits(table: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with all float columns rounded to `SIGNIFICANT_DIGITS`, without negative zeros."""
    floats = table.select_dtypes("float").columns
    return table.assign(**{column: table[column].map(_round) + 0.0 for column in floats})


def _round(number: float) -> float:
    return float(f"{number:.{SIGNIFICANT_DIGITS}g}")
