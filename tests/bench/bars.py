"""A bar: a figure, the target it is held against, and the verdict."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd


@dataclass(frozen=True)
class Bar:
    """One line of the verdict.

    Attributes:
        name: what is measured.
        figure: what it came to.
        target: what it must come to.
        verdict: `met`, `missed` or `not applicable (why)`.
    """

    name: str
    figure: str
    target: str
    verdict: str

    def __str__(self) -> str:
        return f"{self.name}: {self.figure}, target {self.target}: {self.verdict}"


@dataclass(frozen=True)
class Outcome:
    """What one part of the benchmark found: its tables by the name of their file, and its bars."""

    tables: dict[str, pd.DataFrame]
    bars: list[Bar]


def bar(name: str, figure: float, bound: Literal["at most", "at least"], limit: float, unit: str = "") -> Bar:
    """Hold a figure against its limit."""
    met = figure <= limit if bound == "at most" else figure >= limit
    return Bar(name, f"{figure:,.4g}{unit}", f"{bound} {limit:,.4g}{unit}", "met" if met else "missed")


def not_applicable(name: str, target: str, why: str, figure: str = "not measured") -> Bar:
    """A bar that cannot be held on this machine or in this run."""
    return Bar(name, figure, target, f"not applicable ({why})")
