"""All columns by name, and the meaning of each.

A name means the same in all tables, except where `pipeline.table_columns` gives a table its own meaning of it.
"""

from overtop.columns import evaluation, queries, studies
from overtop.columns.column import Column

COLUMNS: dict[str, Column] = {
    **evaluation.KEYS,
    **evaluation.SIZES,
    **evaluation.MEASURES,
    **queries.PER_QUERY,
    **queries.OPERATING,
    **studies.CURVES,
    **studies.CASCADES,
    **studies.DIFFERENCES,
    **studies.ROBUSTNESS,
    **studies.TRAINING,
    **studies.RECALLS,
    **studies.FIGURES,
    **studies.SPLITS,
}
"""Every column except the two ends of intervals, which `describe` knows."""

INTERVAL_ENDS = {"_low": "lower end of the interval of", "_high": "upper end of the interval of"}
"""Ends of the names of the two ends of an interval: `aurc_low` and `aurc_high` are those of `aurc`."""


def describe(name: str) -> Column | None:
    """What a column holds, by its name; None for a name that no table has.

    Example:
        >>> describe("aurc_low").meaning
        'lower end of the interval of aurc'
    """
    if name in COLUMNS:
        return COLUMNS[name]
    for end, meaning in INTERVAL_ENDS.items():
        base = COLUMNS.get(name.removesuffix(end))
        if name.endswith(end) and base is not None:
            return base._replace(meaning=f"{meaning} {name.removesuffix(end)}")
    return None


MEANINGS: dict[str, str] = {name: column.meaning.replace("`", "") for name, column in COLUMNS.items()}
"""What each column means, by name, without the marks of code in Markdown."""
