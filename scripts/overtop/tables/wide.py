"""The paper's layout: a row per method, and for each data set and direction one column per measure."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import pandas as pd

from overtop import labels
from overtop.errors import OvertopError
from overtop.tables.rows import check_unique_rows, sort_rows

GROUP = ["dataset", "direction"]
METHOD = ["estimator", "posterior"]
SETUP = ["protocol", "binning", "positives"]


@dataclass(frozen=True)
class Measure:
    """A column of each group: its headers, how to find its best value, and its number of decimals."""

    markdown: str
    latex: str
    best: Callable[[pd.Series], float]
    decimals: int = 2


MEASURES = {
    "spearman": Measure("S", "$S$", pd.Series.min),
    "r2": Measure("R²", "$R^2$", pd.Series.max),
    "neg_sr2": Measure("−S·R²", "$-S R^2$", pd.Series.max),
    "aurc": Measure("AURC", "AURC", pd.Series.min, decimals=3),
}
"""The paper's three measures, and the area under the risk-coverage curve, by which methods are compared."""


def wide_table(table: pd.DataFrame, *, prefix: str = "", suffix: str = "") -> pd.DataFrame:
    """The layout of the paper's Table 1: a row per method; for each data set and direction its `MEASURES`.

    Args:
        table: rows of `combine_metrics` with one protocol, one binning and one set of positives.
        prefix: of the columns to show instead of the measures: `paper_` for the paper's numbers.
        suffix: of the columns to show instead of the measures: `_low` or `_high` for the ends of the intervals.

    Returns:
        Index (`estimator`, `posterior`), columns (`dataset`, `direction`, `measure`); NaN where a method was not run,
        or where `table` has no such column.

    Raises:
        OvertopError: several protocols, binnings or sets of positives, or two rows for one cell.
    """
    for column in SETUP:
        values = list(table[column].unique())
        if len(values) > 1:
            raise OvertopError(
                f"{column}: a wide table shows one value, not {', '.join(values)}; select the rows of one"
            )
    check_unique_rows(table)
    rows = sort_rows(table, ["kind", "posterior", "estimator"])
    cells = rows.reindex(columns=[*METHOD, *GROUP, *(prefix + measure + suffix for measure in MEASURES)])
    cells.columns = pd.Index([*METHOD, *GROUP, *MEASURES])
    long = cells.melt(id_vars=[*METHOD, *GROUP], value_vars=list(MEASURES), var_name="measure")
    grid = long.pivot(  # noqa: PD010 (pivot refuses duplicates, pivot_table averages them)
        index=METHOD, columns=[*GROUP, "measure"], values="value"
    )
    # Image to text comes first, as in the paper, so that the two tables can be compared column by column.
    directions = labels.in_known_order(table["direction"], labels.DIRECTIONS)[::-1]
    present = set(table[GROUP].itertuples(index=False, name=None))
    groups = [group for group in product(table["dataset"].unique(), directions) if group in present]
    order = pd.MultiIndex.from_tuples([(*group, m) for group in groups for m in MEASURES], names=grid.columns.names)
    methods = pd.MultiIndex.from_frame(rows[METHOD].drop_duplicates())
    return grid.reindex(index=methods, columns=order)
