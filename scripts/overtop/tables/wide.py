"""The paper's layout: a row per method, for each dataset and direction its measures."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal

import pandas as pd

from overtop import labels as words
from overtop.errors import OvertopError
from overtop.tables.rows import in_order, refuse_twice

GROUP = ["dataset", "direction"]
METHOD = ["estimator", "posterior"]
SETUP = ["protocol", "binning", "positives"]


@dataclass(frozen=True)
class Measure:
    """A group's column: its heads, what picks its best value, and how many decimals are shown."""

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
"""The paper's three, and the area under the risk-coverage curve, by which methods are compared."""


def wide(table: pd.DataFrame, which: Literal["", "_low", "_high", "paper_"] = "") -> pd.DataFrame:
    """The paper's Table 1: a row per method; for each dataset and direction its `MEASURES`.

    Args:
        table: rows of `tidy` with one protocol, one binning and one set of positives.
        which: `_low` and `_high` give the ends of the intervals instead, `paper_` the paper's own numbers, where there
            are any.

    Returns:
        Index (`estimator`, `posterior`), columns (`dataset`, `direction`, `measure`), NaN where a method was not run.

    Raises:
        OvertopError: several protocols, binnings or sets of positives, or two rows for one cell.
    """
    for column in SETUP:
        values = list(table[column].unique())
        if len(values) > 1:
            raise OvertopError(f"{column}: a wide table shows one value, not {', '.join(values)}; keep the rows of one")
    refuse_twice(table)
    rows = in_order(table, ["kind", "posterior", "estimator"])
    if which == "paper_":
        kept = rows.reindex(columns=[*METHOD, *GROUP, *(which + measure for measure in MEASURES)])
    else:
        kept = rows[[*METHOD, *GROUP, *(measure + which for measure in MEASURES)]]
    kept.columns = pd.Index([*METHOD, *GROUP, *MEASURES])
    long = kept.melt(id_vars=[*METHOD, *GROUP], value_vars=list(MEASURES), var_name="measure")
    grid = long.pivot(  # noqa: PD010 (pivot refuses duplicates, pivot_table averages them)
        index=METHOD, columns=[*GROUP, "measure"], values="value"
    )
    # Image to text comes first, as in the paper, so that the two tables can be read side by side.
    directions = words.ordered(table["direction"], words.DIRECTIONS)[::-1]
    present = set(table[GROUP].itertuples(index=False, name=None))
    groups = [group for group in product(table["dataset"].unique(), directions) if group in present]
    order = pd.MultiIndex.from_tuples([(*group, m) for group in groups for m in MEASURES], names=grid.columns.names)
    methods = pd.MultiIndex.from_frame(rows[METHOD].drop_duplicates())
    return grid.reindex(index=methods, columns=order)
