"""Choose operating points of one posterior on the validation split and measure them on the test split.

Reads: the splits, rankings and scores of the posterior on both splits.
Computes: thresholds with a guaranteed precision, and conformal sets.
Writes: results/operating/{dataset}/{split}/{posterior}.csv, one row per direction, estimator, protocol, positives, form
and target.
"""

import logging

from overtop.confidence.operating import SplitResults, operating_table
from overtop.pipeline.job import Job, run
from overtop.retrieval.ranking import read_ranking
from overtop.storage.split import read_split
from overtop.storage.tables import read_table, write_table

logger = logging.getLogger(__name__)


def main(job: Job) -> None:
    """Choose and measure the operating points of one posterior on one data set."""
    validation, test = (read_results(job, role) for role in ("val", "test"))
    for name in sorted(set(test.scores["estimator"]) - set(validation.scores["estimator"])):
        logger.warning("%s has no scores on validation and no thresholds; a bank must be of a third split", name)
    table = operating_table(validation, test, job.params.precisions, job.params.confidence, job.params.seed)
    write_table(job.output[0], table.assign(dataset=job.wildcards.dataset, posterior=job.wildcards.posterior))


def read_results(job: Job, role: str) -> SplitResults:
    """Read the results on the split with the role `val` or `test`."""
    return SplitResults(
        read_split(getattr(job.input, f"{role}_split")),
        read_ranking(getattr(job.input, f"{role}_ranking"))[0],
        read_table(getattr(job.input, f"{role}_scores")),
    )


if __name__ == "__main__":
    run(main)
