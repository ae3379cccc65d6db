"""Measure how honest the probabilities of a study's models are on clean and on attacked images.

Reads: the predictions of every encoder of the study on its data sets of classes, clean and attacked.
Computes: calibration errors, proper scores, AUROC and AURC of each kind of probability, with intervals and averages.
Writes: results/robustness/{robustness}-calibration.csv and .md.
"""

from collections.abc import Iterator
from itertools import groupby

from overtop.config.evaluation import BootstrapSpec
from overtop.evaluation.rounding import round_floats
from overtop.evaluation.view_calibration import ViewPredictions, measure_view_calibration
from overtop.pipeline.job import Job, run
from overtop.storage.files import write_text
from overtop.storage.tables import read_table, write_table
from overtop.tables.view_calibration import calibration_to_markdown


def main(job: Job) -> None:
    """Write the calibration table of one study."""
    bootstrap = BootstrapSpec.model_validate(job.params.bootstrap)
    table = measure_view_calibration(read_views(job), bootstrap, job.params.seed, job.params.split)
    write_table(job.output.csv, round_floats(table))
    write_text(job.output.md, calibration_to_markdown(table))


def read_views(job: Job) -> Iterator[ViewPredictions]:
    """Read the predictions of one model in one view after the other."""
    files = zip(job.params.views, job.input.predictions, strict=True)
    for key, of_view in groupby(files, lambda file: (file[0]["dataset"], file[0]["model"], file[0]["view"])):
        yield ViewPredictions(*key, [read_table(path) for _, path in of_view])


if __name__ == "__main__":
    run(main)
