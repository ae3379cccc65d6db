"""Which differences between the methods of a table survive their intervals, and which of the paper's do.

Reads: results/scores of the table's posteriors.
Writes: results/differences/{table}.csv, a row per panel, measure and pair of methods, and .md for people.
"""

import json
from pathlib import Path

import pandas as pd

from overtop.config.evaluation import EvaluationSpec
from overtop.config.tables import TableSpec
from overtop.evaluation.comparison import COLUMNS, compare
from overtop.pipeline.job import Job, run
from overtop.reference import SPLIT
from overtop.reference.architecture import joined
from overtop.reference.paper import paper_table
from overtop.seeds import derive_seed
from overtop.storage.files import table_metadata, write_table, write_text
from overtop.tables.differences import differences_to_markdown
from overtop.tables.rows import DECIMALS

SCORES = ["query_id", "image_id", "direction", "estimator", "protocol", "uncertainty", "hit"]


def main(job: Job) -> None:
    """Compare the methods of one table, data set by data set."""
    table = TableSpec.model_validate(job.params.spec)
    spec = EvaluationSpec.model_validate(job.params.evaluation)
    paper = paper_table(table.reference) if table.reference else None
    found = []
    for dataset in table.datasets:
        paths = [path for path in map(Path, job.input.scores) if path.parent.parent.name == dataset]
        scores = pd.concat([read(path, table, job.params.kinds) for path in paths], ignore_index=True)
        benchmark = job.params.benchmarks.get(dataset) if table.split == SPLIT else None
        # As in `evaluate`: the resamples behind the table.
        seed = derive_seed(job.params.seed, "bootstrap", dataset, table.split)
        found.append(compare(scores, spec, seed, paper, benchmark, job.threads).assign(dataset=dataset))
    differences = pd.concat(found, ignore_index=True)[COLUMNS]
    floats = differences.select_dtypes("float").columns
    differences[floats] = differences[floats].round(DECIMALS) + 0.0  # no "-0.0"
    write_table(job.output.csv, differences)
    write_text(job.output.md, differences_to_markdown(differences))


def read(path: Path, table: TableSpec, kinds: dict[str, str]) -> pd.DataFrame:
    """The scores of one posterior, as far as the table declares them."""
    encoders = json.loads(table_metadata(path)["provenance"])["encoders"]
    scores = pd.read_parquet(path, columns=SCORES)
    kept = scores["protocol"].isin(table.protocols)
    if table.estimators:
        kept &= scores["estimator"].isin(table.estimators)
    return scores[kept].assign(posterior=path.stem, kind=kinds[path.stem], architecture=joined(encoders))


if __name__ == "__main__":
    run(main, snakemake)  # type: ignore[name-defined]  # noqa: F821
