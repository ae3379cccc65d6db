"""What a column of a table holds, and short ways to say it."""

from typing import NamedTuple

SIGNED = "-1 to 1"
AS_UNCERTAINTY = "that of the estimator"
"""Unit of uncertainties, which each estimator has its own scale of."""


class Column(NamedTuple):
    """What a column holds.

    Attributes:
        type: `text`, `integer`, `number` or `true/false`, or a list of these.
        unit: unit or range of numbers, or the values of a text, separated by commas; empty where there is none.
        meaning: one sentence without a full stop, which also says where a cell may be empty.
    """

    type: str
    unit: str
    meaning: str


def text(meaning: str, values: str = "") -> Column:
    """A column of texts."""
    return Column("text", values, meaning)


def count(meaning: str, unit: str = "") -> Column:
    """A column of whole numbers."""
    return Column("integer", unit, meaning)


def share(meaning: str) -> Column:
    """A column of numbers from 0 to 1."""
    return Column("number", "0 to 1", meaning)


def number(meaning: str, unit: str = "") -> Column:
    """A column of numbers."""
    return Column("number", unit, meaning)


def flag(meaning: str) -> Column:
    """A column of truth values."""
    return Column("true/false", "", meaning)
