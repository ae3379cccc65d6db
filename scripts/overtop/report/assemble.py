"""The document of a report from the tables and results that other rules wrote."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from overtop.config.evaluation import EvaluationSpec
from overtop.report import provenance
from overtop.report.cards import CardSource, make_cards
from overtop.report.document import Document, Download, QueryCards, Table
from overtop.report.methods_table import methods_tables
from overtop.report.panels import Reader, make_panels
from overtop.report.rows import PANEL, default_methods, default_rows
from overtop.report.size import MAX_DOWNLOAD_BYTES, add_cards
from overtop.report.studies import answers_table, robustness_tables
from overtop.report.thumbnails import Thumbnails
from overtop.report.verdicts import make_verdicts
from overtop.report.warnings import operating_warnings, provenance_warnings, study_warnings, table_warnings
from overtop.storage.split import Split
from overtop.tables.published import PublishedNumbers

Posterior = tuple[str, str, str]
"""Data set, split and posterior."""


@dataclass(frozen=True)
class ReportResults:
    """What a report is made from.

    Attributes:
        tables: by name, the rows of a declared table with the column `split`, and what it is compared with.
        read: reads the scores and the calibration of a posterior.
        read_cards: reads what the cards of a data set, split and posterior need.
        facts: provenance of the scores of each posterior.
        splits: each split and the digest of its file, by data set and split.
        entries: by place in config.yaml, the declared values of all that is shown.
        operating: operating points with the column `split`; None if none were computed.
        robustness: by name, the rows of a study and the checks of its attacks.
        answers: by name, the answers of an entry and their provenance.
        files: the files that the page offers.
    """

    tables: Mapping[str, tuple[pd.DataFrame, PublishedNumbers]]
    read: Reader
    read_cards: Callable[[str, str, str], CardSource]
    facts: Mapping[Posterior, Mapping[str, Any]]
    splits: Mapping[tuple[str, str], tuple[Split, str]]
    entries: Mapping[str, Any]
    operating: pd.DataFrame | None = None
    robustness: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]] = field(default_factory=dict)
    answers: Mapping[str, tuple[pd.DataFrame, Mapping[str, Any]]] = field(default_factory=dict)
    files: Iterable[Path] = ()


@dataclass(frozen=True)
class ReportSettings:
    """How a report is made.

    Attributes:
        name: of the report.
        rebuild: the command that makes its page.
        queries: cards of each panel.
        evaluation: as for the tables.
        seed: of the run.
        data: the data folder, which image paths are relative to.
        threads: number of threads; the page does not depend on it.
    """

    name: str
    rebuild: str
    queries: int
    evaluation: EvaluationSpec
    seed: int
    data: Path
    threads: int = 1


def make_document(results: ReportResults, settings: ReportSettings) -> Document:
    """The document; the same results give an equal one.

    Raises:
        OvertopError: a file of the results or an image is missing or damaged.
    """
    rows = default_rows(table for table, _ in results.tables.values()) if results.tables else None
    document = Document(
        name=settings.name,
        title=f"{settings.name}: how far can the top hit be trusted?",
        rebuild=settings.rebuild,
        interval_level=settings.evaluation.bootstrap.level,
        robustness=[t for name, (study, _) in results.robustness.items() for t in robustness_tables(name, study)],
        answers=[answers_table(name, *of_entry) for name, of_entry in results.answers.items()],
        downloads=list(map(_offer, results.files)),
        warnings=_warnings(results, rows),
        provenance=_provenance(results),
    )
    if rows is None:
        return document
    evaluation, seed = settings.evaluation, settings.seed
    document = replace(
        document,
        verdicts=make_verdicts(rows, evaluation.precision, results.operating),
        panels=make_panels(rows, results.read, evaluation, seed, settings.threads),
        tables=_method_tables(results, evaluation),
    )
    return _with_cards(document, rows, results, settings)


def _method_tables(results: ReportResults, evaluation: EvaluationSpec) -> list[Table]:
    """The tables of all entries; within one, that of the default protocol first."""
    return [
        table
        for name, (rows, published) in results.tables.items()
        for table in methods_tables(name, rows, published, evaluation)
    ]


def _with_cards(document: Document, rows: pd.DataFrame, results: ReportResults, settings: ReportSettings) -> Document:
    panels = [panel for _, panel in rows.groupby(PANEL, sort=False)]
    keys = [(*panel[PANEL[:2]].iloc[0], default_methods(panel)["posterior"].iloc[0]) for panel in panels]
    sources = {key: results.read_cards(*key) for key in dict.fromkeys(keys)} if settings.queries else {}
    encoded: dict[str, str] = {}

    def draw(n: int) -> tuple[list[QueryCards], list[str]]:
        images = Thumbnails(settings.data, settings.threads, encoded)
        cards = [
            make_cards(panel, sources[key], n, settings.queries, settings.seed, images)
            for panel, key in zip(panels, keys, strict=True)
        ]
        return cards, images.uris

    return add_cards(document, settings.queries, draw)


def _warnings(results: ReportResults, rows: pd.DataFrame | None) -> list[str]:
    """All warnings, those on the numbers first.

    Args:
        results: what the report is made from.
        rows: the methods that it shows; None without tables.
    """
    lines = ([] if rows is None else table_warnings(rows)) + provenance_warnings(results.facts)
    if results.operating is not None:
        lines += operating_warnings(results.operating)
    for _, checks in results.robustness.values():
        lines += study_warnings(checks)
    for name, (_, facts) in results.answers.items():
        lines += [f"{name}: {warning}" for warning in facts["warnings"]]
    return list(dict.fromkeys(lines))


def _provenance(results: ReportResults) -> list[provenance.Provenance]:
    groups = [
        provenance.configuration(results.entries),
        provenance.splits(results.splits),
        provenance.encoders(results.facts),
        provenance.posteriors(results.facts),
        provenance.versions(),
    ]
    return [group for group in groups if group.rows]


def _offer(path: Path) -> Download:
    """A file with its content, or without if it is large."""
    content = path.read_bytes()
    return Download(path.name, str(path), content.decode() if len(content) <= MAX_DOWNLOAD_BYTES else None)
