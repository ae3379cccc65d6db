"""The summary that a run prints when it ends."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from overtop import labels
from overtop.pipeline import paths
from overtop.tables.differences import differences_summary
from overtop.tables.wide import GROUP


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
        return summarise_table(pd.read_csv(path))
    if path.match(paths.fill(paths.DIFFERENCES, table="*.csv")):
        return differences_summary(pd.read_csv(path))
    return []


def summarise_table(table: pd.DataFrame) -> list[str]:
    """The best method of each data set and direction by the area under the rejection curve, then warnings.

    Args:
        table: a long table of results. If possible, labelled positives and the corrected protocol are summarised.
    """
    rows = _prefer(_prefer(table, "positives", "labelled"), "protocol", "corrected")
    posteriors = labels.posterior_labels(rows)
    lines = []
    for _, panel in rows.groupby(GROUP, sort=False):
        best = panel.loc[panel["rejection_auc"].idxmax()]
        method = f"{labels.format_name(best['estimator'])}, {posteriors[best['posterior']]}"
        lines.append(
            f"{labels.panel_title(panel, int(best['n_queries']))}: R@1 {best['recall_at_1']:.3f}; best by rejection: "
            f"{method}, area {best['rejection_auc']:.3f} (upper bound {best['oracle_auc']:.3f})"
        )
    return lines + _recall_warnings(table)


def _prefer(rows: pd.DataFrame, column: str, value: str) -> pd.DataFrame:
    """The rows with that value, or all rows if none has it."""
    preferred = rows[rows[column] == value]
    return rows if preferred.empty else preferred


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
