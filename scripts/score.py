"""Give every query one uncertainty per estimator and protocol, and say whether its top-1 was right.

Reads: the split, the ranking and the radii of a posterior.
Writes: results/scores/{dataset}/{split}/{posterior}.parquet, one row per query x direction x estimator x protocol.
"""

import json

import pandas as pd

from overtop.datasets.manifest import read_split
from overtop.estimators import Evidence
from overtop.files import write_table
from overtop.job import Job, run
from overtop.radius import read_radii
from overtop.ranking import read_ranking
from overtop.scores import score_direction
from overtop.terms import DIRECTIONS


def main(job: Job) -> None:
    """Score one posterior on one split."""
    split = read_split(job.input.split)
    rankings, provenance = read_ranking(job.input.ranking)
    radii, _ = read_radii(job.input.radii)
    frames = [
        score_direction(split, direction, Evidence(rankings[direction], radii[direction]), job.params.estimators)
        for direction in DIRECTIONS
    ]
    write_table(job.output[0], pd.concat(frames, ignore_index=True), {"provenance": json.dumps(provenance)})


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
