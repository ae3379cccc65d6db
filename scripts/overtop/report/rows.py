"""The rows of tables that a report shows where it can show one: a row per data set, split, direction and method."""

from collections.abc import Iterable, Mapping

import pandas as pd

from overtop.columns.meanings import MEANINGS
from overtop.labels import capitalise
from overtop.report.document import Measured
from overtop.tables.key_numbers import SHOWN_ESTIMATORS, prefer_rows

PANEL = ["dataset", "split", "direction"]
"""Columns that identify a panel."""

_METHOD = [*PANEL, "posterior", "estimator"]


def default_rows(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The rows of the preferred protocol and positives of each panel, in the order of the tables.

    Args:
        tables: tables as the rule `table` writes them, with the column `split`.
    """
    rows = pd.concat(tables, ignore_index=True)
    panels = [prefer_rows(panel) for _, panel in rows.groupby(PANEL, sort=False)]
    return pd.concat(panels).drop_duplicates(_METHOD).reset_index(drop=True)


def panel_id(row: Mapping[str, str] | pd.Series) -> str:
    """The id of the panel of a row."""
    return "/".join(str(row[column]) for column in PANEL)


def default_methods(panel: pd.DataFrame) -> pd.DataFrame:
    """The rows of a panel that are shown by default: `SHOWN_ESTIMATORS` of its first posterior, whatever the results.

    If it has none of these estimators, its first row. The last row is that of the default estimator, as in confidence
    models: `bank_nnn` if there is a bank, else `max_softmax`.
    """
    first = panel[panel["posterior"] == panel["posterior"].iloc[0]]
    by_estimator = first.set_index("estimator", drop=False)
    shown = [name for name in SHOWN_ESTIMATORS if name in by_estimator.index]
    return by_estimator.loc[shown or [first["estimator"].iloc[0]]]


def measured(row: pd.Series, name: str) -> Measured:
    """A measure of a row with the ends of its interval."""
    value, low, high = (number(row[column]) for column in (name, f"{name}_low", f"{name}_high"))
    return value, low, high


def number(value: float) -> float | None:
    """A number of a table as plain value; None if it is missing."""
    return None if pd.isna(value) else float(value)


def explain(column: str) -> str:
    """The meaning of a column as a sentence."""
    return f"{capitalise(MEANINGS[column])}."
