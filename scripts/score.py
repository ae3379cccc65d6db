"""Compute the uncertainty of every query under each estimator and protocol, and whether its top-1 is right.

Reads: the split, and the ranking of a posterior; its radii, its spread and the fitted temperatures if there are any.
Writes: results/scores/{dataset}/{split}/{posterior}.parquet, one row per query x direction x estimator x protocol.
"""

import json
from collections.abc import Iterator, Mapping

import pandas as pd

from overtop.adapters.spread import read_spread
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import score_estimators
from overtop.pipeline.job import Job, run
from overtop.radius.radii import read_radii
from overtop.retrieval.ranking import Ranking, read_ranking
from overtop.retrieval.temperature import load_temperatures
from overtop.storage.split import Split, read_split
from overtop.storage.tables import write_parts
from overtop.terms import Direction


def main(job: Job) -> None:
    """Score one posterior on one split."""
    split = read_split(job.input.split)
    rankings, provenance = read_ranking(job.input.ranking)
    write_parts(job.output[0], _score(job, split, rankings), {"provenance": json.dumps(provenance)})


def _score(job: Job, split: Split, rankings: Mapping[Direction, Ranking]) -> Iterator[pd.DataFrame]:
    """Yield the scores under one estimator and protocol after the other."""
    radii = read_radii(job.input.radii)[0] if job.input.radii else None
    spreads = read_spread(job.input.spread)[0] if job.input.spread else None
    temperatures = load_temperatures(job.params.temperature, job.input.temperatures)
    for direction, ranking in rankings.items():
        variance = spreads[direction].variance_for(ranking) if spreads else None
        lengths = radii[direction] if radii else None
        inputs = EstimatorInputs(ranking, lengths, variance, temperatures[direction])
        yield from score_estimators(split, direction, inputs, job.params.estimators, job.params.protocols)


if __name__ == "__main__":
    run(main)
