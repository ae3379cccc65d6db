"""Measure recall, calibration, rejection and selective prediction of one posterior's scores, with intervals.

Reads: results/scores.
Computes: every metric with its bootstrap interval, and differences from the reference estimator.
Writes: results/metrics, and the curves that figures draw.
"""

import json
from typing import Any

import pandas as pd

from overtop.config.evaluation import EvaluationSpec
from overtop.estimators.registry import get_estimator
from overtop.evaluation.bootstrap import bootstrap_seed
from overtop.evaluation.metrics import evaluate
from overtop.pipeline.job import Job, run
from overtop.reference.architecture import join_architectures
from overtop.storage.tables import read_long_table, read_table_metadata, write_table


def main(job: Job) -> None:
    """Evaluate one posterior on one split."""
    provenance = json.loads(read_table_metadata(job.input[0])["provenance"])
    seed = bootstrap_seed(job.params.seed, job.wildcards.dataset, job.wildcards.split)
    spec = EvaluationSpec.model_validate(job.params.spec)
    evaluation = evaluate(read_long_table(job.input[0]), spec, seed, job.threads)
    names = {
        "dataset": job.wildcards.dataset,
        "posterior": job.wildcards.posterior,
        "kind": job.params.kind,
        "architecture": join_architectures(provenance["encoders"]),
    }
    details = {
        "members": ", ".join(encoder["name"] for encoder in provenance["encoders"]),
        "n_skipped": provenance["n_skipped"],
        "n_truncated": provenance["n_truncated"],
    }
    metrics = evaluation.metrics.assign(**names, **details, **bank_columns(evaluation.metrics, provenance))
    write_table(job.output.metrics, metrics)
    write_table(job.output.calibration, evaluation.calibration.assign(**names))
    write_table(job.output.rejection, evaluation.rejection.assign(**names))


def bank_columns(metrics: pd.DataFrame, provenance: dict[str, Any]) -> dict[str, list[str]]:
    """The bank of each row and its fingerprint; empty for estimators that need none."""
    bank, needs_bank = (
        provenance.get("bank", {}),
        ["bank" in get_estimator(name).needs for name in metrics["estimator"]],
    )
    columns = {"bank": "label", "bank_fingerprint": "fingerprint"}
    return {column: [bank[key] if needed else "" for needed in needs_bank] for column, key in columns.items()}


if __name__ == "__main__":
    run(main)
