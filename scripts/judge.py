"""Compare the uncertainty of one posterior with human judgments of pairs that are not labelled.

Reads: the split, results/scores, the record of the raw files, and among them the judgments.
Computes: rank correlations, AUROC and means, with intervals.
Writes: results/judgments/{dataset}/{split}/{posterior}.csv, one row per statistic.
"""

from pathlib import Path

import pandas as pd

from overtop.config.evaluation import BootstrapSpec
from overtop.datasets.judgments import read_judgments
from overtop.datasets.raw import raw_folder
from overtop.evaluation.judgments import compare_with_judgments
from overtop.pipeline.job import Job, run
from overtop.storage.split import read_split
from overtop.storage.tables import write_table


def main(job: Job) -> None:
    """Compare one posterior with the judgments of one split."""
    raw = raw_folder(Path(job.params.data), job.wildcards.dataset, job.wildcards.split)
    files = {source: raw / name for source, name in job.params.judgments.items()}
    judgments = read_judgments(files, read_split(job.input.split))
    spec = BootstrapSpec.model_validate(job.params.bootstrap)
    statistics = compare_with_judgments(pd.read_parquet(job.input.scores), judgments, spec, job.params.seed)
    names = {"dataset": job.wildcards.dataset, "posterior": job.wildcards.posterior, "split": job.wildcards.split}
    write_table(job.output[0], statistics.assign(**names))


if __name__ == "__main__":
    run(main)
