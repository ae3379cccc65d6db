"""Study one cascade: a cheap estimator for all queries, an expensive posterior for those that it trusts least.

Reads: results/scores of both posteriors and results/rankings of the expensive one, on the test and validation splits.
Computes: cost and quality of escalation, with and without stopping rules.
Writes: results/cascades/{cascade}/curve.csv; votes.csv, what stopping rules save; spent.csv, the samples they use.
"""

import pandas as pd

from overtop.config.cascades import CascadeSpec
from overtop.config.evaluation import BootstrapSpec
from overtop.evaluation.answers import CascadeInputs
from overtop.evaluation.cascade import CascadeSettings, run_cascade
from overtop.pipeline.job import Job, run
from overtop.retrieval.ranking import read_ranking
from overtop.seeds import derive_seed
from overtop.storage.tables import read_table, write_table


def main(job: Job) -> None:
    """Study one cascade in both directions."""
    test, val = (read_inputs(job, role) for role in ("test", "val"))
    spec = CascadeSpec.model_validate(job.params.spec)
    bootstrap = BootstrapSpec.model_validate(job.params.bootstrap)
    settings = CascadeSettings(
        cheap_estimator=spec.cheap_estimator,
        expensive_estimator=spec.expensive_estimator,
        protocol=spec.protocol,
        errors=tuple(spec.errors),
        resamples=bootstrap.resamples,
        level=bootstrap.level,
        seed=derive_seed(job.params.seed, "cascade", job.wildcards.cascade),
    )
    results = {direction: run_cascade(test, val, direction, settings) for direction in test.rankings}
    for name in ("curve", "votes", "spent"):
        tables = [getattr(result, name).assign(direction=direction) for direction, result in results.items()]
        write_table(job.output[name], pd.concat(tables, ignore_index=True))


def read_inputs(job: Job, role: str) -> CascadeInputs:
    """Read the results on the split with the role `test` or `val`."""
    return CascadeInputs(
        read_table(job.input[f"cheap_{role}"]),
        read_table(job.input[f"expensive_{role}"]),
        read_ranking(job.input[f"ranking_{role}"])[0],
    )


if __name__ == "__main__":
    run(main)
