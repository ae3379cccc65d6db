"""The long table of results (CSV): one row per data set, direction, method and evaluation setup."""

from collections.abc import Sequence

import pandas as pd

from overtop import labels
from overtop.errors import OvertopError
from overtop.evaluation.rounding import round_floats

INTERVALS = [
    "recall_at_1", "recall_at_5", "recall_at_10", "spearman", "r2", "neg_sr2", "rejection_auc", "aurc", "eaurc",
    "augrc", "auroc", "aupr", "coverage", "tau_b", "smare",
]  # fmt: skip
"""Columns with an interval: `X_low` and `X_high` follow `X`."""

COLUMNS = [
    "dataset", "direction", "posterior", "kind", "architecture", "members", "estimator", "protocol", "binning",
    "positives", "n_queries", "n_absent", "absent", "n_clusters", "n_bins", "calibration_defined",
    *(name + end for name in INTERVALS for end in ("", "_low", "_high")),
    "oracle_auc", *(name + end for name in ("aurc_diff", "rejection_auc_diff") for end in ("", "_low", "_high")),
    "p_value", "p_holm", "n_skipped", "n_truncated", "n_tied",
]  # fmt: skip
"""Columns of the long table, in order; further columns follow them."""

KEY = ["dataset", "direction", "posterior", "estimator", "protocol", "binning", "positives"]
"""Columns that identify a row."""

_COUNTS = ["n_queries", "n_absent", "n_clusters", "n_bins", "n_skipped", "n_truncated", "n_tied"]
_VALUE_ORDER: dict[str, Sequence[str]] = {
    "direction": list(labels.DIRECTIONS),
    "kind": list(labels.KINDS),
    "estimator": list(labels.ESTIMATORS),
    "protocol": list(labels.PROTOCOLS),
    "binning": list(labels.BINNINGS),
    "positives": list(labels.POSITIVES),
}  # data sets and posteriors keep their order of appearance


def combine_metrics(metrics: Sequence[pd.DataFrame], place: str = "table") -> pd.DataFrame:
    """One long table: a row per data set, direction, posterior, estimator, protocol, binning and set of positives.

    Args:
        metrics: tables with the columns `COLUMNS`. Data sets and posteriors keep the order in which they come.
        place: named in error messages: `tables.demo`.

    Returns:
        Rows and columns in a fixed order, numbers rounded to 6 decimals, so that equal results have equal bytes.

    Raises:
        OvertopError: no rows, a column is missing, or two rows have the same `KEY`.
    """
    frames = [frame for frame in metrics if len(frame)]
    if not frames:
        raise OvertopError(f"{place}: no rows; name datasets, posteriors, estimators and positives that were evaluated")
    for frame in frames:
        missing = [column for column in COLUMNS if column not in frame]
        if missing:
            raise OvertopError(f"{place}: metrics without {', '.join(missing)}; rebuild them with the evaluate rule")
    table = pd.concat(frames, ignore_index=True)
    check_unique_rows(table)
    table = sort_rows(table, ["dataset", "direction", "kind", "posterior", *KEY[3:]])
    extra = [column for column in table.columns if column not in COLUMNS]
    table = table[COLUMNS + extra].astype(dict.fromkeys(_COUNTS, "int64"))
    return round_floats(table).reset_index(drop=True)


def sort_rows(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Rows sorted by `columns`, each in the order of its display names; unknown values in order of appearance."""
    orders = {column: labels.in_known_order(table[column], _VALUE_ORDER.get(column, ())) for column in columns}
    ranks = {column: {value: rank for rank, value in enumerate(order)} for column, order in orders.items()}
    return table.sort_values(list(columns), key=lambda column: column.map(ranks[str(column.name)]), kind="stable")


def check_unique_rows(table: pd.DataFrame) -> None:
    """Check that no two rows have the same `KEY`.

    Raises:
        OvertopError: with the key of the first duplicate.
    """
    duplicates = table[table.duplicated(KEY)]
    if len(duplicates):
        key = ", ".join(f"{column}={duplicates.iloc[0][column]}" for column in KEY)
        raise OvertopError(f"table: two rows for {key}; list each dataset and posterior once")
