"""The table of results: long for machines, and in the paper's wide layout (Table 1) for people."""

from overtop.tables.differences import differences_to_markdown
from overtop.tables.published import Published
from overtop.tables.rows import COLUMNS, DECIMALS, INTERVALS, KEY, tidy
from overtop.tables.summary import closing_words, summary
from overtop.tables.typeset import to_latex, to_markdown
from overtop.tables.wide import MEASURES, wide

__all__ = [
    "COLUMNS",
    "DECIMALS",
    "INTERVALS",
    "KEY",
    "MEASURES",
    "Published",
    "closing_words",
    "differences_to_markdown",
    "summary",
    "tidy",
    "to_latex",
    "to_markdown",
    "wide",
]
