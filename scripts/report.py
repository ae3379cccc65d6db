"""Make the page of one report, which needs no other file and no network.

Reads: results/tables with their members, results/scores, curves and rankings of their posteriors, the splits and the
image files of the queries that are shown; results/operating, robustness and answers as far as they are declared.
Writes: results/reports/{report}.html.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from overtop.config.evaluation import EvaluationSpec
from overtop.config.reports import ReportSpec
from overtop.pipeline.job import Job, run
from overtop.pipeline.raw_files import ensure_files
from overtop.report import cards, panels
from overtop.report.assemble import ReportResults, ReportSettings, make_document
from overtop.report.cards import CardSource
from overtop.report.page import render_page
from overtop.report.panels import PosteriorResults
from overtop.retrieval.ranking import read_ranking
from overtop.storage.files import sha256, write_text
from overtop.storage.split import read_split
from overtop.storage.tables import read_table, read_table_metadata
from overtop.tables.published import PublishedNumbers


def main(job: Job) -> None:
    """Write one page."""
    params, spec = job.params, ReportSpec.model_validate(job.params.spec)
    settings = ReportSettings(
        job.wildcards.report,
        f"snakemake {job.output[0]}",
        spec.queries,
        EvaluationSpec.model_validate(params.evaluation),
        params.seed,
        Path(params.data),
        job.threads,
    )
    write_text(job.output[0], render_page(make_document(read_results(job, spec), settings)))


def read_results(job: Job, spec: ReportSpec) -> ReportResults:
    """Read what the report shows; scores, curves and rankings when they are needed."""
    inputs, params = job.input, job.params
    posteriors = [tuple(source) for source in params.posteriors]
    scores = dict(zip(posteriors, inputs.scores, strict=True))
    calibration = dict(zip(posteriors, inputs.calibration, strict=True))
    rankings = dict(zip(posteriors, inputs.rankings, strict=True))
    splits = [tuple(source) for source in params.splits]
    manifests = {key: read_split(path) for key, path in zip(splits, inputs.splits, strict=True)}
    records = dict(zip(splits, inputs.records, strict=True))

    def read(*posterior: str) -> PosteriorResults:
        of_posterior = read_table(scores[posterior], panels.SCORE_COLUMNS)
        return PosteriorResults(of_posterior, read_table(calibration[posterior]))

    def read_cards(*posterior: str) -> CardSource:
        ensure = partial(ensure_files, job, records[posterior[:2]])
        of_posterior = read_table(scores[posterior], cards.SCORE_COLUMNS)
        return CardSource(manifests[posterior[:2]], read_ranking(rankings[posterior])[0], of_posterior, ensure)

    return ReportResults(
        tables=read_tables(job, spec),
        read=read,
        read_cards=read_cards,
        facts={key: json.loads(read_table_metadata(path)["provenance"]) for key, path in scores.items()},
        splits={key: (manifests[key], sha256(path)) for key, path in zip(splits, inputs.splits, strict=True)},
        entries=params.entries,
        operating=read_operating(job),
        robustness=read_studies(job, spec),
        answers=read_answers(job, spec),
        files=[Path(path) for path in [*inputs.tables, *inputs.operating, *inputs.studies, *inputs.answers_csv]],
    )


def read_tables(job: Job, spec: ReportSpec) -> dict[str, tuple[pd.DataFrame, PublishedNumbers]]:
    """Read the tables, with their splits and what they are compared with."""
    tables = {}
    files = zip(spec.tables, job.params.tables, job.input.tables, job.input.members, strict=True)
    for name, facts, path, members in files:
        table = read_table(path)
        texts = {column: table[column].astype(object).fillna("") for column in ("architecture", "members_off")}
        published = PublishedNumbers(facts["reference"], recalls=read_table(members))
        tables[name] = table.assign(**texts, split=facts["split"]), published
    return tables


def read_operating(job: Job) -> pd.DataFrame | None:
    """Read the operating points of all posteriors that have some."""
    files = zip(job.params.operating, job.input.operating, strict=True)
    tables = [read_table(path).assign(split=split) for (_, split, _), path in files]
    return pd.concat(tables, ignore_index=True) if tables else None


def read_studies(job: Job, spec: ReportSpec) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Read the rows and the checks of robustness studies."""
    files = zip(spec.robustness, job.input.studies, job.input.checks, strict=True)
    return {name: (read_table(rows), read_table(checks)) for name, rows, checks in files}


def read_answers(job: Job, spec: ReportSpec) -> dict[str, tuple[pd.DataFrame, dict[str, Any]]]:
    """Read answers and their provenance."""
    files = zip(spec.answers, job.input.answers, strict=True)
    return {name: (read_table(path), json.loads(read_table_metadata(path)["provenance"])) for name, path in files}


if __name__ == "__main__":
    run(main)
