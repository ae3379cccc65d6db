"""Rounding of the numbers in CSV tables, so that equal results have equal bytes on every machine."""

import pandas as pd

DECIMALS = 6
"""Decimals of every number in a CSV: far finer than any interval, far coarser than differences between machines."""


def round_floats(table: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with all float columns rounded to `DECIMALS`, without negative zeros."""
    floats = table.select_dtypes("float").columns
    return table.assign(**{column: table[column].round(DECIMALS) + 0.0 for column in floats})
