"""The summary that a run prints when it ends."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from overtop import labels
from overtop.pipeline import paths
from overtop.pipeline.answers_summary import answers_summary
from overtop.pipeline.transfer_checks import RESERVED_ENDINGS
from overtop.storage.tables import read_table
from overtop.tables.attack_checks import failed_checks
from overtop.tables.differences import differences_summary
from overtop.tables.key_numbers import prefer_rows
from overtop.tables.robustness import robustness_summary
from overtop.tables.transfers import transfers_summary
from overtop.tables.wide import GROUP
from overtop.terms import SHOWN_ESTIMATORS

CHANCE_AUROC = 0.5
"""AUROC of an uncertainty that knows nothing about the hits."""

MAX_NAMES = 4
"""Names that a warning lists."""


def summarise_run(targets: Iterable[str]) -> str:
    """The results of a run in a few lines: paths, and the main numbers of tables and differences.

    Args:
        targets: paths; those that are not files are left out.
    """
    lines = ["", "overtop: done."]
    for target in map(Path, targets):
        if target.is_file():
            lines.append(f"  {target}")
            lines += [f"    {line}" for line in _summarise_file(target)]
    return "\n".join(lines)


def _summarise_file(path: Path) -> list[str]:
    if path.match(paths.fill(paths.TABLE, table="*.csv")):
        return summarise_table(read_table(path))
    if path.match(paths.fill(paths.DIFFERENCES, table="*.csv")):
        return differences_summary(read_table(path))
    if path.match(f"{paths.ANSWER.format(answer='*')}.*"):
        return answers_summary(path)
    if path.match(paths.TRANSFER.format(transfer="*") + ".csv") and not path.stem.endswith(RESERVED_ENDINGS):
        return transfers_summary(read_table(path))
    checks = path.with_name(f"{path.stem}-checks.csv")
    if path.match(paths.ROBUSTNESS.format(robustness="*") + ".csv") and checks.is_file():
        return [*robustness_summary(read_table(path)), *_check_warnings(read_table(checks))]
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
        lines.append(_describe_panel(panel[panel["posterior"] == panel["posterior"].iloc[0]], posteriors))
        warnings += _chance_warnings(panel, posteriors)
    if len(posteriors) > 1:
        lines.append(f"These are the first of {len(posteriors)} posteriors; the table has all of them.")
    return lines + warnings + _recall_warnings(table)


def _describe_panel(rows: pd.DataFrame, posteriors: Mapping[str, str]) -> str:
    """R@1 and the AUROC of the shown estimators of one posterior, with intervals."""
    first = rows.iloc[0]
    title = f"{labels.panel_title(rows, int(first['n_queries']))}, {posteriors[first['posterior']]}"
    shown = rows[rows["estimator"].isin(SHOWN_ESTIMATORS)]
    estimators = [f"{labels.format_name(row['estimator'])} {_interval(row, 'auroc')}" for _, row in shown.iterrows()]
    line = f"{title}: R@1 {_interval(first, 'recall_at_1')}"
    if estimators:
        line += f"; AUROC of finding misses: {', '.join(estimators)}"
    is_similar = (shown["aurc_diff_low"] <= 0) & (shown["aurc_diff_high"] >= 0)  # missing for the reference itself
    if is_similar.any():
        names = ", ".join(map(labels.format_name, shown.loc[is_similar, "estimator"]))
        line += f"; by AURC not distinguishable from the reference: {names}"
    return line


def _interval(row: pd.Series, name: str) -> str:
    return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"


def _chance_warnings(panel: pd.DataFrame, posteriors: Mapping[str, str]) -> list[str]:
    """One line on posteriors whose R@1, and one on methods whose AUROC, is not above that of chance."""
    warnings = []
    # A random image is that of a caption, and a random caption one of an image, in one of n_clusters cases.
    by_chance = panel["recall_at_1_low"] <= 1 / panel["n_clusters"]
    if by_chance.any():
        names = [posteriors[posterior] for posterior in panel.loc[by_chance, "posterior"].unique()]
        warnings.append(
            f"Warning, {labels.dataset_label(panel)}: R@1 is not above chance (1 in {panel['n_clusters'].max():,}), so "
            f"the other measures mean nothing: {_enumerate(names)}"
        )
    uninformative = panel[(panel["auroc_low"] <= CHANCE_AUROC) & ~by_chance]
    if len(uninformative):
        methods = zip(uninformative["estimator"], uninformative["posterior"], strict=True)
        names = [f"{labels.format_name(estimator)} ({posteriors[posterior]})" for estimator, posterior in methods]
        warnings.append(
            f"Warning, {labels.dataset_label(panel)}: not better than chance at finding misses (AUROC interval reaches "
            f"{CHANCE_AUROC}): {_enumerate(names)}"
        )
    return warnings


def _enumerate(names: list[str]) -> str:
    """The first names, and the number of further ones."""
    hidden = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {hidden} more" if hidden > 0 else "")


def _check_warnings(checks: pd.DataFrame) -> list[str]:
    """One line per failed sanity check of the attacks of a study."""
    return [f"Warning, the attacks may be too weak: {failure}" for failure in failed_checks(checks)]


def _recall_warnings(table: pd.DataFrame) -> list[str]:
    """One line per data set with encoders whose recall differs from the published one."""
    off = table.dropna(subset="members_off")
    off = off[off["members_off"] != ""]
    lines = []
    for dataset, members in off.groupby("dataset", sort=False)["members_off"]:
        names = dict.fromkeys(name for entry in members.unique() for name in entry.split(", "))
        lines.append(
            f"Warning, {labels.format_name(str(dataset))}: recall differs from the published one for "
            f"{', '.join(names)}; see results/members"
        )
    return lines
