"""The table of results: long for machines, and in the paper's wide layout (Table 1) for people."""

from overtop.tables.rows import COLUMNS, INTERVALS, KEY, tidy
from overtop.tables.summary import closing_words, summary
from overtop.tables.typeset import to_latex, to_markdown
from overtop.tables.wide import MEASURES, wide

__all__ = [
    "COLUMNS",
    "INTERVALS",
    "KEY",
    "MEASURES",
    "closing_words",
    "summary",
    "tidy",
    "to_latex",
    "to_markdown",
    "wide",
]
