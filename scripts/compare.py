"""Compare every pair of methods of one table, with intervals, tests and the paper's differences.

Reads: results/scores of the table's posteriors.
Computes: paired differences on the same bootstrap resamples.
Writes: results/differences/{table}.csv, one row per panel, measure and pair of methods, and .md for reading.
"""

from overtop.config.evaluation import EvaluationSpec
from overtop.config.tables import TableSpec
from overtop.evaluation.table_comparison import ScoresFile, compare_table
from overtop.pipeline.job import Job, run
from overtop.storage.files import write_text
from overtop.storage.tables import write_table
from overtop.tables.differences import differences_to_markdown


def main(job: Job) -> None:
    """Compare the methods of one table."""
    files = [ScoresFile(path, **source) for path, source in zip(job.input.scores, job.params.sources, strict=True)]
    differences = compare_table(
        files,
        TableSpec.model_validate(job.params.spec),
        EvaluationSpec.model_validate(job.params.evaluation),
        job.params.benchmarks,
        job.params.seed,
        job.threads,
    )
    write_table(job.output.csv, differences)
    write_text(job.output.md, differences_to_markdown(differences))


if __name__ == "__main__":
    run(main)
