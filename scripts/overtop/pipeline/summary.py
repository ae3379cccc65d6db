"""What a run says when it ends."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from overtop import labels as words
from overtop.tables.differences import differences_summary
from overtop.tables.wide import GROUP


def closing_words(targets: Iterable[str]) -> str:
    """Where a run's results are, and what its tables and differences say, in a few lines.

    Args:
        targets: paths; those that are no files are left out.
    """
    lines = ["", "overtop: done."]
    for target in map(Path, targets):
        if target.is_file():
            lines.append(f"  {target}")
            if target.parent.name == "tables" and target.suffix == ".csv":
                lines += [f"    {line}" for line in summary(pd.read_csv(target))]
            elif target.parent.name == "differences" and target.suffix == ".csv":
                lines += [f"    {line}" for line in differences_summary(pd.read_csv(target))]
    return "\n".join(lines)


def summary(table: pd.DataFrame) -> list[str]:
    """What a table says, in a line per dataset and direction: which method rejects best; and what to beware of.

    Args:
        table: of `Published.beside`. Labelled positives and the corrected protocol speak, where the table has them.
    """
    kept = table
    for column, wanted in (("positives", "labelled"), ("protocol", "corrected")):
        if (kept[column] == wanted).any():
            kept = kept[kept[column] == wanted]
    posteriors = words.posteriors(kept)
    lines = []
    for _, rows in kept.groupby(GROUP, sort=False):
        best = rows.loc[rows["rejection_auc"].idxmax()]
        method = f"{words.label(best['estimator'])}, {posteriors[best['posterior']]}"
        lines.append(
            f"{words.panel(rows, int(best['n_queries']), None)}: R@1 {best['recall_at_1']:.3f}; best by rejection: "
            f"{method}, area {best['rejection_auc']:.3f} of at most {best['oracle_auc']:.3f}"
        )
    return lines + _warnings(table)


def _warnings(table: pd.DataFrame) -> list[str]:
    """A line per data set on which an encoder does not find what it is published to find."""
    off = table.dropna(subset="members_off")
    off = off[off["members_off"] != ""]
    return [
        f"Beware, {words.label(str(dataset))}: recall is not what is published for "
        f"{', '.join(dict.fromkeys(name for names in rows.unique() for name in names.split(', ')))}; see members"
        for dataset, rows in off.groupby("dataset", sort=False)["members_off"]
    ]
