"""`reports` in config.yaml: what each page shows."""

from typing import Annotated

from pydantic import Field

from overtop.config.base import Model, Name


class ReportSpec(Model):
    """One page, `results/reports/NAME.html`: tables with their curves and queries, robustness studies and answers."""

    tables: list[Name] = Field([], description="entries of `tables`")
    robustness: list[Name] = Field([], description="entries of `robustness`")
    answers: list[Name] = Field([], description="entries of `answers`")
    queries: Annotated[int, Field(ge=0, le=2000)] = Field(
        300, description="queries of each data set and direction that are shown as cards; 0: no cards"
    )
