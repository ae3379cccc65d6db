"""Measure recall, calibration, rejection and selective prediction of one posterior's scores, with intervals.

Reads: results/scores. Writes: results/metrics and the curves that figures draw.
"""

import json

import pandas as pd

from overtop.config.evaluation import EvaluationSpec
from overtop.evaluation.metrics import evaluate
from overtop.pipeline.job import Job, run
from overtop.reference.architecture import joined
from overtop.seeds import derive_seed
from overtop.storage.files import table_metadata, write_table


def main(job: Job) -> None:
    """Evaluate one posterior on one split."""
    provenance = json.loads(table_metadata(job.input[0])["provenance"])
    # Not the posterior: all posteriors of a split see the same resamples.
    seed = derive_seed(job.params.seed, "bootstrap", job.wildcards.dataset, job.wildcards.split)
    spec = EvaluationSpec.model_validate(job.params.spec)
    found = evaluate(pd.read_parquet(job.input[0]), spec, seed, job.threads)
    names = {
        "dataset": job.wildcards.dataset,
        "posterior": job.wildcards.posterior,
        "kind": job.params.kind,
        "architecture": joined(provenance["encoders"]),
    }
    behind = {
        "members": ", ".join(encoder["name"] for encoder in provenance["encoders"]),
        **{key: provenance[key] for key in ("n_skipped", "n_truncated")},
    }
    write_table(job.output.metrics, found.metrics.assign(**names, **behind))
    write_table(job.output.calibration, found.calibration.assign(**names))
    write_table(job.output.rejection, found.rejection.assign(**names))


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
