"""Give every query one uncertainty per estimator and protocol, and say whether its top-1 was right.

Reads: the split, the ranking and the radii of a posterior, and the spread and fitted temperatures if there are any.
Writes: results/scores/{dataset}/{split}/{posterior}.parquet, one row per query x direction x estimator x protocol.
"""

import json

import pandas as pd

from overtop.adapters.spread import read_spread
from overtop.estimators.evidence import Evidence
from overtop.estimators.scoring import score_direction
from overtop.pipeline.job import Job, run
from overtop.radius.radii import read_radii
from overtop.retrieval.ranking import read_ranking
from overtop.retrieval.temperature import chosen
from overtop.storage.files import write_table
from overtop.storage.split import read_split
from overtop.terms import DIRECTIONS


def main(job: Job) -> None:
    """Score one posterior on one split."""
    split = read_split(job.input.split)
    rankings, provenance = read_ranking(job.input.ranking)
    radii, _ = read_radii(job.input.radii)
    spreads = read_spread(job.input.spread)[0] if job.input.spread else None
    temperatures = chosen(job.params.temperature, job.input.temperatures)
    frames = []
    for direction in DIRECTIONS:
        ranking = rankings[direction]
        spread = spreads[direction].of_queries(ranking) if spreads else None
        evidence = Evidence(ranking, radii[direction], spread, temperatures[direction])
        frames.append(score_direction(split, direction, evidence, job.params.estimators, job.params.protocols))
    write_table(job.output[0], pd.concat(frames, ignore_index=True), {"provenance": json.dumps(provenance)})


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
