"""Selecting rows of a result table by the values of its columns."""

from collections.abc import Collection

import pandas as pd


def select_rows(frame: pd.DataFrame, **allowed: Collection[str] | str | None) -> pd.DataFrame:
    """Rows whose columns have allowed values, in the order of `frame` and with its index.

    Args:
        frame: any table.
        **allowed: for each column its allowed value or values; None or an empty collection does not restrict.

    Raises:
        KeyError: `frame` has no such column.

    Example:
        >>> metrics = pd.DataFrame({"protocol": ["corrected", "published"], "aurc": [0.1, 0.2]})
        >>> select_rows(metrics, protocol="corrected")["aurc"].tolist()
        [0.1]
    """
    selected = pd.Series(True, index=frame.index)
    for column, values in allowed.items():
        if values:
            selected &= frame[column].isin([values] if isinstance(values, str) else list(values))
    return frame[selected]
