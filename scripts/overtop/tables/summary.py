"""What a run says when it ends."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from overtop.figures import words
from overtop.tables.wide import GROUP


def closing_words(targets: Iterable[str]) -> str:
    """Where a run's results are, and what its tables say, in a few lines.

    Args:
        targets: paths; those that are no files are left out.
    """
    lines = ["", "overtop: done."]
    for target in map(Path, targets):
        if target.is_file():
            lines.append(f"  {target}")
            if target.parent.name == "tables" and target.suffix == ".csv":
                lines += [f"    {line}" for line in summary(pd.read_csv(target))]
    return "\n".join(lines)


def summary(table: pd.DataFrame) -> list[str]:
    """What a table says, in a line per dataset and direction: which method rejects best.

    Args:
        table: of `tidy`. Labelled positives and the corrected protocol speak, where the table has them.
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
    return lines
