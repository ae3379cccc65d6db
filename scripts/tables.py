"""Put the metrics of a table's posteriors together: long as CSV, in the paper's layout as Markdown and LaTeX.

Reads: results/metrics. Writes: results/tables/{table}.csv, .md, .tex.
"""

import pandas as pd

from overtop import tables
from overtop.config import TableDecl
from overtop.errors import OvertopError
from overtop.files import write_table, write_text
from overtop.job import Job, run


def main(job: Job) -> None:
    """Write one table in its three forms."""
    name = job.wildcards.table
    table = tables.tidy([declared_rows(pd.read_parquet(path), job.params.spec) for path in job.input])
    if table.empty:
        raise OvertopError(f"tables.{name}: nothing was measured that it asks for; widen its estimators or positives")
    write_table(job.output.csv, table)
    write_text(job.output.md, tables.to_markdown(table))
    write_text(job.output.tex, tables.to_latex(table, name=name))


def declared_rows(metrics: pd.DataFrame, spec: dict[str, object]) -> pd.DataFrame:
    """The rows that a table declares."""
    table = TableDecl.model_validate(spec)
    kept = (
        metrics["protocol"].isin(table.protocols)
        & metrics["binning"].isin(table.binnings)
        & metrics["positives"].isin(table.positives)
    )
    if table.estimators:
        kept &= metrics["estimator"].isin(table.estimators)
    return metrics[kept]


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
