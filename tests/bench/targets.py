"""Figures that the benchmark compares with a target, and their verdicts."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd


@dataclass(frozen=True)
class TargetCheck:
    """One measured figure and its target, printed as one line at the end of the benchmark.

    Attributes:
        name: what is measured.
        figure: the measured value with its unit.
        target: the value that is required.
        verdict: `met`, `missed` or `not applicable (reason)`.
    """

    name: str
    figure: str
    target: str
    verdict: str

    def __str__(self) -> str:
        return f"{self.name}: {self.figure}, target {self.target}: {self.verdict}"


@dataclass(frozen=True)
class PartResult:
    """Results of one part of the benchmark: its tables by file name without suffix, and its target checks."""

    tables: dict[str, pd.DataFrame]
    checks: list[TargetCheck]


def check_target(
    name: str, figure: float, bound: Literal["at most", "at least"], limit: float, unit: str = ""
) -> TargetCheck:
    """Compare a figure with its limit; NaN misses every target."""
    met = figure <= limit if bound == "at most" else figure >= limit
    return TargetCheck(name, f"{figure:,.4g}{unit}", f"{bound} {limit:,.4g}{unit}", "met" if met else "missed")


def not_applicable(name: str, target: str, reason: str) -> TargetCheck:
    """Return the check of a figure that cannot be measured on this machine."""
    return TargetCheck(name, "not measured", target, f"not applicable ({reason})")
