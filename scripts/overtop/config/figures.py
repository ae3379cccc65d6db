"""`figures` in config.yaml: what each figure draws."""

from typing import Annotated, Literal

from pydantic import Field

from overtop.config.base import Model, Name
from overtop.terms import Binning, Positives, Protocol


class CurveFigure(Model):
    """One `results/figures/NAME.pdf`, `.png` and `.csv`, drawn of what a table holds."""

    kind: Literal["calibration", "rejection"]
    table: Name
    estimators: list[Name] = Field([], description="empty: all of the table")
    protocol: Protocol = "corrected"
    binning: Binning = "equal_width"
    positives: Positives = "labelled"


class CascadeFigure(Model):
    """One `results/figures/NAME.pdf`, `.png` and `.csv`, drawn of a cascade."""

    kind: Literal["cascade"]
    cascade: Name


class SensitivityFigure(Model):
    """One `results/figures/NAME.pdf`, `.png` and `.csv`: what the rate and the number of passes of MC dropout do."""

    kind: Literal["sensitivity"]
    dataset: Name
    estimator: Name = "top1_consistency"
    rates: list[Name] = Field([], description="posteriors that differ in their rate")
    passes: list[Name] = Field([], description="posteriors that differ in their passes")
    split: Name = "test"
    protocol: Protocol = "corrected"
    binning: Binning = "equal_width"
    positives: Positives = "labelled"

    def posteriors(self) -> list[str]:
        """All that are drawn, each once."""
        return list(dict.fromkeys([*self.rates, *self.passes]))


FigureSpec = Annotated[CurveFigure | CascadeFigure | SensitivityFigure, Field(discriminator="kind")]
