"""Fit confidence models on a labelled split, and measure on several data sets whether they hold there.

Reads: the scores and rankings of one posterior on the labelled split and on each data set of a study.
Computes: calibration, proper scores and intervals of the probability of a hit, with and without labels, and what the
thresholds achieve.
Writes: results/transfers/{transfer}.csv and .md, the thresholds as -thresholds.csv, and the bins of reliability
diagrams as -bins.csv.
"""

import logging

from overtop.confidence.transfer import ScoredQueries, measure_transfers
from overtop.config.evaluation import BootstrapSpec
from overtop.config.operating import OperatingSpec
from overtop.config.transfers import TransferSpec
from overtop.evaluation.rounding import round_floats, round_to_digits
from overtop.pipeline.job import Job, run
from overtop.retrieval.ranking import read_ranking
from overtop.storage.files import write_text
from overtop.storage.tables import read_table, write_table
from overtop.tables.transfers import transfers_to_markdown

logger = logging.getLogger(__name__)


def main(job: Job) -> None:
    """Measure the confidence models of one study."""
    spec = TransferSpec.model_validate(job.params.spec)
    labelled = read_queries(spec.model.dataset, spec.model.split, job.input.labelled, job.params.banks[0])
    files = zip(job.input.scores, job.input.rankings, strict=True)
    evaluated = [
        read_queries(dataset, spec.split, of_dataset, bank)
        for dataset, of_dataset, bank in zip(spec.datasets, files, job.params.banks[1:], strict=True)
    ]
    operating = OperatingSpec.model_validate(job.params.operating)
    bootstrap = BootstrapSpec.model_validate(job.params.bootstrap)
    transfers = measure_transfers(labelled, evaluated, spec.estimators, operating, bootstrap, job.params.seed)
    for line in transfers.omitted:
        logger.warning("%s", line)
    write_table(job.output.csv, round_floats(transfers.measures))
    write_table(job.output.thresholds, round_to_digits(transfers.thresholds))
    write_table(job.output.bins, round_floats(transfers.bins))
    write_text(job.output.md, transfers_to_markdown(transfers))


def read_queries(dataset: str, split: str, files: tuple[str, str], bank: str) -> ScoredQueries:
    """Read the queries of one data set: `files` are its scores and its ranking."""
    scores, ranking = files
    return ScoredQueries(dataset, split, read_table(scores), read_ranking(ranking)[0], bank)


if __name__ == "__main__":
    run(main)
