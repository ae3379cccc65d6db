"""The methods of a figure: their curves joined with the number that the legend shows in brackets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from overtop.errors import OvertopError
from overtop.figures.style import Look, Looks

PANEL = ["dataset", "direction"]
METHOD = ["posterior", "estimator"]
_SETUP = ["protocol", "positives"]


@dataclass(frozen=True)
class Method:
    """A line of a panel: an estimator under a posterior, its curve, its look and its line in the legend."""

    rows: pd.DataFrame
    look: Look
    text: str


def require(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Refuse a frame without rows or without a column.

    Raises:
        OvertopError: naming `what` and the columns that are missing.
    """
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise OvertopError(f"{what}: no column {', '.join(missing)}; rebuild it")
    if frame.empty:
        raise OvertopError(f"{what}: no rows; name datasets, posteriors and estimators that were evaluated")


def only(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Refuse a frame with several values in a column of which `what` can show one.

    Raises:
        OvertopError: naming the column and its values.
    """
    for column in columns:
        values = sorted(map(str, frame[column].unique()))
        if len(values) > 1:
            raise OvertopError(f"{column}: {what} shows one value, not {', '.join(values)}; keep the rows of one")


def attach(curves: pd.DataFrame, metrics: pd.DataFrame, keys: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """`curves` with the `values` of each method's row in `metrics`.

    Args:
        curves: long table of curves, several rows a method.
        metrics: long table of metrics.
        keys: columns, beside dataset, direction, posterior, estimator, protocol and positives, that tell methods apart.
        values: columns of `metrics` to add.

    Raises:
        OvertopError: a column is missing, or a method has no row in `metrics` or several that differ.
    """
    on = [*PANEL, *METHOD, *_SETUP, *keys]
    require(curves, [*on, "kind"], "curves")
    require(metrics, [*on, *values], "metrics")
    judged = metrics[[*on, *values]].drop_duplicates()
    twice = judged[judged.duplicated(on)]
    if len(twice):
        raise OvertopError(f"metrics: two different rows for {_name(twice, on)}; give each method once")
    numbers = curves.drop(columns=[v for v in values if v in curves]).merge(
        judged, on=on, how="left", indicator="_found"
    )
    lost = numbers[numbers["_found"] == "left_only"]
    if len(lost):
        raise OvertopError(f"metrics: no row for {_name(lost, on)}; evaluate it, or leave it out of the figure")
    return numbers.drop(columns="_found")


def ranked(numbers: pd.DataFrame, value: str, decimals: int, looks: Looks) -> list[Method]:
    """The methods of one panel, the largest `value` first and undefined ones last; the value ends each text."""
    found = []
    for _, rows in numbers.groupby(METHOD, sort=False):
        first = rows.iloc[0]
        look, number = looks[first["posterior"], first["estimator"]], float(first[value])
        found.append((number, Method(rows, look, f"{look.label} [{bracket(number, decimals)}]")))
    return [method for _, method in sorted(found, key=lambda f: (math.isnan(f[0]), -f[0], f[1].text))]


def bracket(number: float, decimals: int) -> str:
    """A number as the legend shows it: with a real minus sign, `undefined` for NaN."""
    return "undefined" if math.isnan(number) else f"{round(number, decimals) + 0.0:.{decimals}f}".replace("-", "−")


def _name(rows: pd.DataFrame, keys: Sequence[str]) -> str:
    return ", ".join(f"{key}={rows.iloc[0][key]}" for key in keys)
