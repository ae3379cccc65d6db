"""`tables` in config.yaml: what each table holds."""

from typing import Annotated, Literal

from pydantic import Field

from overtop.config.base import Model, Name, PosteriorName
from overtop.terms import Binning, Positives, Protocol


class TableSpec(Model):
    """One table, `results/tables/NAME.{csv,md,tex}`: data sets x posteriors x estimators and their settings."""

    reference: Literal["table1", "table2"] | None = Field(None, description="the paper's table to compare with")
    datasets: Annotated[list[Name], Field(min_length=1)] = Field(description="entries of `datasets`")
    posteriors: Annotated[list[PosteriorName], Field(min_length=1)] = Field(
        description="entries of `posteriors`, or encoders"
    )
    split: Name = Field("test", description="split that is evaluated")
    estimators: list[Name] = Field([], description="empty: all configured estimators")
    protocols: Annotated[list[Protocol], Field(min_length=1)] = Field(
        ["published", "corrected"], description="protocols that are shown"
    )
    binnings: Annotated[list[Binning], Field(min_length=1)] = Field(
        ["equal_width", "equal_count"], description="ways to cut uncertainty into levels"
    )
    positives: Annotated[list[Positives], Field(min_length=1)] = Field(
        ["labelled", "extended"], description="which answers count as right"
    )
