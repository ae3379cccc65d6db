"""Compare the uncertainty of one posterior with human judgments of pairs that are not labelled.

Reads: the split, results/scores, the record of the raw files, and among them the judgments.
Computes: rank correlations, AUROC and means, with intervals.
Writes: results/judgments/{dataset}/{split}/{posterior}.csv, one row per statistic.
"""

from pathlib import Path

from overtop.config.evaluation import BootstrapSpec
from overtop.datasets.judgments import read_judgments
from overtop.datasets.raw import raw_folder
from overtop.evaluation.judgments import compare_with_judgments
from overtop.pipeline.job import Job, run
from overtop.pipeline.raw_files import ensure_files
from overtop.storage.split import read_split
from overtop.storage.tables import read_table, write_table


def main(job: Job) -> None:
    """Compare one posterior with the judgments of one split."""
    data, names = Path(job.params.data), job.wildcards
    files = {key: raw_folder(data, names.dataset, names.split) / name for key, name in job.params.judgments.items()}
    ensure_files(job, job.input.source, (str(file.relative_to(data)) for file in files.values()))
    judgments = read_judgments(files, read_split(job.input.split))
    spec = BootstrapSpec.model_validate(job.params.bootstrap)
    statistics = compare_with_judgments(read_table(job.input.scores), judgments, spec, job.params.seed)
    columns = {"dataset": names.dataset, "posterior": names.posterior, "split": names.split}
    write_table(job.output[0], statistics.assign(**columns))


if __name__ == "__main__":
    run(main)
