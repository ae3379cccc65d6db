"""Combine the metrics of a table's posteriors: long as CSV, best first and in the paper's layout as
Markdown, in the paper's layout as LaTeX.

Reads: results/metrics, and results/recall of the encoders behind them.
Writes: results/tables/{table}.csv, .md, .tex, results/members/{table}.csv, the recall of all encoders, and
results/summaries/{table}.json, the numbers that runs are compared by.
"""

import json

from overtop.config.tables import TableSpec
from overtop.evaluation.selection import select_rows
from overtop.pipeline.job import Job, run
from overtop.reference.benchmarks import BENCHMARK_SPLIT
from overtop.storage.files import write_text
from overtop.storage.tables import read_table, write_table
from overtop.tables.key_numbers import key_numbers
from overtop.tables.latex import to_latex
from overtop.tables.markdown import to_markdown
from overtop.tables.published import PublishedNumbers, combine_recalls
from overtop.tables.ranked import ranked_to_markdown
from overtop.tables.rows import combine_metrics


def main(job: Job) -> None:
    """Write one table in its three forms, its key numbers, and the recall of its encoders."""
    name, spec = job.wildcards.table, TableSpec.model_validate(job.params.spec)
    metrics = [
        select_rows(
            read_table(path),
            protocol=spec.protocols,
            binning=spec.binnings,
            positives=spec.positives,
            estimator=spec.estimators,
        )
        for path in job.input.metrics
    ]
    table = combine_metrics(metrics, f"tables.{name}")
    benchmarks = job.params.benchmarks if spec.split == BENCHMARK_SPLIT else {}
    recalls = combine_recalls([read_table(path) for path in job.input.recalls])
    published = PublishedNumbers(spec.reference, benchmarks, recalls)
    compared = published.add_columns(table)
    write_table(job.output.csv, compared)
    write_table(job.output.members, recalls)
    write_text(job.output.summary, json.dumps(key_numbers(table), indent=2) + "\n")
    write_text(job.output.md, f"{ranked_to_markdown(compared)}\n{to_markdown(table, published)}")
    write_text(job.output.tex, to_latex(table, published, name=name))


if __name__ == "__main__":
    run(main)
