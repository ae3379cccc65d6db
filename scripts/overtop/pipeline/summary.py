"""The summary that a run prints when it ends."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from overtop import labels
from overtop.pipeline import paths
from overtop.pipeline.answers_summary import answers_summary
from overtop.pipeline.transfer_checks import RESERVED_ENDINGS
from overtop.storage.tables import read_table
from overtop.tables.differences import differences_summary
from overtop.tables.key_numbers import prefer_rows
from overtop.tables.operating import operating_summary
from overtop.tables.robustness import robustness_summary
from overtop.tables.transfers import transfers_summary
from overtop.tables.warnings import attack_warnings, chance_warnings, recall_warnings, tie_warnings
from overtop.tables.wide import GROUP
from overtop.terms import SHOWN_ESTIMATORS

NEXT = "Next, with your own data: make new DATA=FOLDER, then the command that it names"
"""The last line of a run without own data."""

ORDER = {".csv": 0, ".html": 2}
"""Place of files by suffix: numbers first, and the report last, where it is seen; 1 for others."""

SIMILAR = " *"
"""Mark of estimators that are not distinguishable from the reference."""


def summarise_run(targets: Iterable[str]) -> list[str]:
    """The results of a run in a few lines: paths, and the main numbers of tables and differences.

    Args:
        targets: paths; those that are not files are left out.
    """
    files = [target for target in map(Path, targets) if target.is_file()]
    lines = []
    for file in sorted(files, key=lambda path: ORDER.get(path.suffix, 1)):
        lines.append(f"  {file}" + (", open it in a browser" if file.suffix == ".html" else ""))
        lines += [f"    {line}" for line in _summarise_file(file)]
    return lines


def _summarise_file(path: Path) -> list[str]:
    if path.match(paths.fill(paths.TABLE, table="*.csv")):
        return summarise_table(read_table(path))
    if path.match(paths.fill(paths.DIFFERENCES, table="*.csv")):
        return differences_summary(read_table(path))
    if path.match(paths.fill(paths.OPERATING, dataset="*", split="*", posterior="*")):
        return operating_summary(read_table(path))
    if path.match(f"{paths.ANSWER.format(answer='*')}.*"):
        return answers_summary(path)
    if path.match(paths.TRANSFER.format(transfer="*") + ".csv") and not path.stem.endswith(RESERVED_ENDINGS):
        return transfers_summary(read_table(path))
    checks = path.with_name(f"{path.stem}-checks.csv")
    if path.match(paths.ROBUSTNESS.format(robustness="*") + ".csv") and checks.is_file():
        return [*robustness_summary(read_table(path)), *map(_warn, attack_warnings(read_table(checks)))]
    return []


def summarise_table(table: pd.DataFrame) -> list[str]:
    """R@1 of each data set and direction and how well uncertainty finds the misses, then warnings.

    The posterior is the first of the table and the estimators are `SHOWN_ESTIMATORS`: neither is chosen by the results,
    as the best of many on a test set is better there than on new queries.

    Args:
        table: a long table of results. If possible, labelled positives and the corrected protocol are summarised.
    """
    rows = prefer_rows(table)
    rows = rows.drop_duplicates([*GROUP, "posterior", "estimator"])  # recall and AUROC do not depend on the binning
    posteriors = labels.posterior_labels(rows)
    lines, warnings = [], []
    for _, panel in rows.groupby(GROUP, sort=False):
        lines += _describe_panel(panel[panel["posterior"] == panel["posterior"].iloc[0]], posteriors)
        warnings += [*chance_warnings(panel, posteriors), *tie_warnings(panel)]
    if any(line.endswith(SIMILAR) for line in lines):
        lines.append(f"{SIMILAR.strip()} by AURC not distinguishable from the reference")
    if len(posteriors) > 1:
        lines.append(f"These are the first of {len(posteriors)} posteriors; the table has all of them.")
    return lines + [*map(_warn, [*warnings, *recall_warnings(table)])]


def _describe_panel(rows: pd.DataFrame, posteriors: Mapping[str, str]) -> list[str]:
    """R@1 and the AUROC of the shown estimators of one posterior, with intervals."""
    first = rows.iloc[0]
    title = f"{labels.panel_title(rows, int(first['n_queries']))}, {posteriors[first['posterior']]}"
    lines = [title, f"  {labels.format_measure(first, 'recall_at_1')}  R@1"]
    for _, row in rows[rows["estimator"].isin(SHOWN_ESTIMATORS)].iterrows():
        # Missing for the reference itself.
        mark = SIMILAR if row["aurc_diff_low"] <= 0 <= row["aurc_diff_high"] else ""
        name = labels.format_name(row["estimator"])
        lines.append(f"  {labels.format_measure(row, 'auroc')}  AUROC of finding misses by {name}{mark}")
    return lines


def _warn(warning: str) -> str:
    return f"Warning, {warning}"
