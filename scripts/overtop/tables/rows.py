"""The long table: a row per number's whole setup, for machines."""

from collections.abc import Sequence

import pandas as pd

from overtop import labels as words
from overtop.errors import OvertopError

INTERVALS = [
    "recall_at_1", "spearman", "r2", "neg_sr2", "rejection_auc", "aurc", "eaurc", "augrc", "auroc", "aupr", "coverage",
]  # fmt: skip
"""Columns that come with their interval: `X_low` and `X_high` beside `X`."""

COLUMNS = [
    "dataset", "direction", "posterior", "kind", "architecture", "members", "estimator", "protocol", "binning",
    "positives", "n_queries", "n_clusters", "n_bins", "calibration_defined",
    *(name + end for name in INTERVALS for end in ("", "_low", "_high")),
    "oracle_auc", *(name + end for name in ("aurc_diff", "rejection_auc_diff") for end in ("", "_low", "_high")),
    "p_value", "p_holm", "n_skipped", "n_truncated",
]  # fmt: skip
"""Columns of the long table, in order; columns beyond these follow them."""

KEY = ["dataset", "direction", "posterior", "estimator", "protocol", "binning", "positives"]
"""Columns that tell rows apart."""

DECIMALS = 6
"""Of every number in a CSV: far finer than any interval, far coarser than differences between machines."""

_COUNTS = ["n_queries", "n_clusters", "n_bins", "n_skipped", "n_truncated"]
_ORDER: dict[str, Sequence[str]] = {
    "direction": list(words.DIRECTIONS),
    "kind": list(words.KINDS),
    "estimator": list(words.ESTIMATORS),
    "protocol": list(words.PROTOCOLS),
    "binning": list(words.BINNINGS),
    "positives": list(words.POSITIVES),
}  # of datasets and posteriors: as they come


def tidy(metrics: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One long table: a row per dataset, direction, posterior, estimator, protocol, binning and set of positives.

    Args:
        metrics: tables with the columns `COLUMNS`. Data sets and posteriors keep the order in which they come.

    Returns:
        Rows and columns in a fixed order, numbers rounded to 6 decimals, so that equal results have equal bytes.

    Raises:
        OvertopError: no rows, a column is missing, or two rows speak of the same thing.
    """
    rows = [frame for frame in metrics if len(frame)]
    if not rows:
        raise OvertopError("table: no rows; name datasets, posteriors and estimators that were evaluated")
    for frame in rows:
        missing = [column for column in COLUMNS if column not in frame]
        if missing:
            raise OvertopError(f"table: metrics without {', '.join(missing)}; rebuild them with the evaluate rule")
    table = pd.concat(rows, ignore_index=True)
    refuse_twice(table)
    table = in_order(table, ["dataset", "direction", "kind", "posterior", *KEY[3:]])
    extra = [column for column in table.columns if column not in COLUMNS]
    table = table[COLUMNS + extra].astype(dict.fromkeys(_COUNTS, "int64"))
    floats = table.select_dtypes("float").columns
    table[floats] = table[floats].round(DECIMALS) + 0.0  # no "-0.0"
    return table.reset_index(drop=True)


def in_order(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Rows by `columns`, each in its known order, unknown values as they first appear."""
    ranks = {c: {v: i for i, v in enumerate(words.ordered(table[c], _ORDER.get(c, ())))} for c in columns}
    return table.sort_values(list(columns), key=lambda column: column.map(ranks[str(column.name)]), kind="stable")


def refuse_twice(table: pd.DataFrame) -> None:
    """Refuse two rows that speak of the same thing.

    Raises:
        OvertopError: naming it.
    """
    twice = table[table.duplicated(KEY)]
    if len(twice):
        name = ", ".join(f"{column}={twice.iloc[0][column]}" for column in KEY)
        raise OvertopError(f"table: two rows for {name}; list each dataset and posterior once")
