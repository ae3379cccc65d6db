"""Checks of the tables that figures are drawn from."""

from collections.abc import Sequence

import pandas as pd

from overtop.errors import OvertopError


def check_columns(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Check that a table has rows and all `columns`.

    Raises:
        OvertopError: with the `name` of the table and the missing columns.
    """
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise OvertopError(f"{name}: no column {', '.join(missing)}; rebuild it")
    if frame.empty:
        raise OvertopError(f"{name}: no rows; name datasets, posteriors and estimators that were evaluated")


def check_single_value(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Check that each of `columns` has a single value, because what is called `name` can show only one.

    Raises:
        OvertopError: with the column and its values.
    """
    for column in columns:
        values = sorted(map(str, frame[column].unique()))
        if len(values) > 1:
            raise OvertopError(f"{column}: {name} shows one value, not {', '.join(values)}; keep the rows of one")
