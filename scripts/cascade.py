"""Escalate the queries that a cheap estimator trusts least to an expensive posterior: what it costs, what it brings.

Reads: results/scores of both posteriors and results/rankings of the expensive one, on the test and validation splits.
Writes: results/cascades/{cascade}/curve.csv; votes.csv, what stopping rules save; spent.csv, the samples they use.
"""

import pandas as pd

from overtop.config.cascades import CascadeSpec
from overtop.config.evaluation import BootstrapSpec
from overtop.evaluation.cascade import Known, Plan, study
from overtop.pipeline.job import Job, run
from overtop.retrieval.ranking import read_ranking
from overtop.seeds import derive_seed
from overtop.storage.files import write_table
from overtop.terms import DIRECTIONS


def main(job: Job) -> None:
    """Study one cascade in both directions."""
    test, val = (
        known(*(job.input[f"{part}_{role}"] for part in ("cheap", "expensive", "ranking"))) for role in ("test", "val")
    )
    spec = CascadeSpec.model_validate(job.params.spec)
    bootstrap = BootstrapSpec.model_validate(job.params.bootstrap)
    plan = Plan(
        cheap_estimator=spec.cheap_estimator,
        expensive_estimator=spec.expensive_estimator,
        protocol=spec.protocol,
        errors=tuple(spec.errors),
        resamples=bootstrap.resamples,
        level=bootstrap.level,
        seed=derive_seed(job.params.seed, "cascade", job.wildcards.cascade),
    )
    studies = {direction: study(test, val, direction, plan) for direction in DIRECTIONS}
    for name in ("curve", "votes", "spent"):
        frames = [getattr(found, name).assign(direction=direction) for direction, found in studies.items()]
        write_table(job.output[name], pd.concat(frames, ignore_index=True))


def known(cheap: str, expensive: str, ranking: str) -> Known:
    """What is known of one split."""
    return Known(pd.read_parquet(cheap), pd.read_parquet(expensive), read_ranking(ranking)[0])


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
