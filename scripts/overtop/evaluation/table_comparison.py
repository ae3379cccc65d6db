"""The table of differences between the methods of a declared table, data set by data set."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from overtop.config.evaluation import EvaluationSpec
from overtop.config.tables import TableSpec
from overtop.evaluation.bootstrap import bootstrap_seed
from overtop.evaluation.comparison import COLUMNS, compare_methods
from overtop.evaluation.rounding import round_floats
from overtop.evaluation.selection import select_rows
from overtop.reference.architecture import join_architectures
from overtop.reference.benchmarks import BENCHMARK_SPLIT
from overtop.reference.paper import read_paper_table
from overtop.storage.tables import read_table, read_table_metadata

SCORE_COLUMNS = ["query_id", "image_id", "direction", "estimator", "protocol", "uncertainty", "hit"]
"""Columns of the score tables that a comparison needs."""


@dataclass(frozen=True)
class ScoresFile:
    """The score table of one posterior on one data set, and the names that its file does not contain."""

    path: str | Path
    dataset: str
    posterior: str
    kind: str


def compare_table(
    files: Sequence[ScoresFile],
    table: TableSpec,
    evaluation: EvaluationSpec,
    benchmarks: Mapping[str, str | None],
    seed: int,
    threads: int = 1,
) -> pd.DataFrame:
    """Compare the methods of a declared table on each of its data sets.

    Args:
        files: scores of all posteriors of the table on all its data sets.
        table: data sets, estimators, protocols, and the paper's table to compare with.
        evaluation: bins, and the bootstrap.
        benchmarks: the benchmark that each data set is, None for others.
        seed: of the run; the resamples are those of the metrics of the same split.
        threads: number of threads; the result does not depend on it.

    Returns:
        Columns `COLUMNS` of `overtop.evaluation.comparison`, with rounded numbers.

    Raises:
        OvertopError: posteriors were scored on different queries, or an uncertainty is not finite.
    """
    paper = read_paper_table(table.reference) if table.reference else None
    parts = []
    for dataset in table.datasets:
        scores = [read_method_scores(file, table) for file in files if file.dataset == dataset]
        differences = compare_methods(
            pd.concat(scores, ignore_index=True),
            evaluation,
            bootstrap_seed(seed, dataset, table.split),
            paper,
            benchmarks.get(dataset) if table.split == BENCHMARK_SPLIT else None,
            threads,
        )
        parts.append(differences.assign(dataset=dataset))
    return round_floats(pd.concat(parts, ignore_index=True)[COLUMNS])


def read_method_scores(file: ScoresFile, table: TableSpec) -> pd.DataFrame:
    """Read the scores of the protocols and estimators that a table declares, with the columns that name a method."""
    encoders = json.loads(read_table_metadata(file.path)["provenance"])["encoders"]
    scores = read_table(file.path, SCORE_COLUMNS)
    return select_rows(scores, protocol=table.protocols, estimator=table.estimators).assign(
        posterior=file.posterior, kind=file.kind, architecture=join_architectures(encoders)
    )
