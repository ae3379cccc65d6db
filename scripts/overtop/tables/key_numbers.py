"""The few numbers of a table that runs are compared by: R@1 and AURC of each method's default row."""

from typing import Any

import pandas as pd

from overtop.tables.wide import GROUP
from overtop.terms import SHOWN_ESTIMATORS

PREFERRED = {"positives": "labelled", "protocol": "corrected"}
"""The rows that are shown where few can be, if there are any."""


def key_numbers(table: pd.DataFrame) -> dict[str, Any]:
    """R@1 of each posterior, and the AURC of `SHOWN_ESTIMATORS`, which are not chosen by the results.

    Args:
        table: a long table of results.

    Returns:
        By data set, direction and posterior, in the order of the table: `recall_at_1`, and `aurc` by estimator. Numbers
        that are not defined are left out.
    """
    numbers: dict[str, Any] = {}
    for (dataset, direction, posterior), rows in table.groupby([*GROUP, "posterior"], sort=False):
        rows = prefer_rows(rows).drop_duplicates("estimator").set_index("estimator")
        aurc = rows["aurc"].reindex(SHOWN_ESTIMATORS).dropna()
        entry = {"recall_at_1": float(rows["recall_at_1"].iloc[0]), "aurc": aurc.to_dict()}
        numbers.setdefault(dataset, {}).setdefault(direction, {})[posterior] = entry
    return numbers


def prefer_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with the `PREFERRED` values; all rows where none has such a value."""
    for column, value in PREFERRED.items():
        preferred = table[table[column] == value]
        table = table if preferred.empty else preferred
    return table
