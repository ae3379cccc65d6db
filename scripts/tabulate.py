"""Put the metrics of a table's posteriors together: long as CSV, in the paper's layout as Markdown and LaTeX.

Reads: results/metrics, and results/recall of the encoders behind them.
Writes: results/tables/{table}.csv, .md, .tex, and results/members/{table}.csv, the recall of all encoders.
"""

from collections.abc import Iterable

import pandas as pd

from overtop.config.tables import TableSpec
from overtop.errors import OvertopError
from overtop.pipeline.job import Job, run
from overtop.reference import SPLIT
from overtop.reference.recalls import RECALL_COLUMNS
from overtop.storage.files import write_table, write_text
from overtop.tables.published import Published
from overtop.tables.rows import tidy
from overtop.tables.typeset import to_latex, to_markdown


def main(job: Job) -> None:
    """Write one table in its three forms, and what was found of its encoders."""
    name, spec = job.wildcards.table, TableSpec.model_validate(job.params.spec)
    rows = [declared_rows(pd.read_parquet(path), spec) for path in job.input.metrics]
    if not any(map(len, rows)):
        raise OvertopError(f"tables.{name}: nothing was measured that it asks for; widen its estimators or positives")
    table = tidy(rows)
    benchmarks = job.params.benchmarks if spec.split == SPLIT else {}
    published = Published(spec.reference, benchmarks, members(job.input.recalls))
    write_table(job.output.csv, published.beside(table))
    write_table(job.output.members, published.recalls)
    write_text(job.output.md, to_markdown(table, published=published))
    write_text(job.output.tex, to_latex(table, published=published, name=name))


def members(paths: Iterable[str]) -> pd.DataFrame:
    """The recall of all encoders of a table; none may have been checked."""
    found = [pd.read_csv(path) for path in paths]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=RECALL_COLUMNS)


def declared_rows(metrics: pd.DataFrame, table: TableSpec) -> pd.DataFrame:
    """The rows that a table declares."""
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
