"""Warnings about a table of results: what means little, or may be wrong."""

from collections.abc import Mapping

import pandas as pd

from overtop import labels

CHANCE_AUROC = 0.5
"""AUROC of an uncertainty that knows nothing about the hits."""

MANY_TIES = 0.01
"""Share of queries with equal best items from which it is worth a warning."""

MAX_NAMES = 4
"""Names that a warning lists."""


def is_at_chance(rows: pd.DataFrame) -> pd.Series:
    """Whether the R@1 of each row is not above that of chance.

    A random image is that of a caption, and a random caption one of an image, in one of `n_clusters` cases.
    """
    return rows["recall_at_1_low"] <= 1 / rows["n_clusters"]


def chance_warnings(panel: pd.DataFrame, posteriors: Mapping[str, str]) -> list[str]:
    """One line on posteriors whose R@1, and one on methods whose AUROC, is not above that of chance."""
    warnings = []
    by_chance = is_at_chance(panel)
    if by_chance.any():
        names = [posteriors[posterior] for posterior in panel.loc[by_chance, "posterior"].unique()]
        warnings.append(
            f"{labels.dataset_label(panel)}: R@1 is not above chance (1 in {panel['n_clusters'].max():,}), so "
            f"the other measures mean nothing: {_enumerate(names)}"
        )
    uninformative = panel[(panel["auroc_low"] <= CHANCE_AUROC) & ~by_chance]
    if len(uninformative):
        methods = zip(uninformative["estimator"], uninformative["posterior"], strict=True)
        names = [f"{labels.format_name(estimator)} ({posteriors[posterior]})" for estimator, posterior in methods]
        warnings.append(
            f"{labels.dataset_label(panel)}: not better than chance at finding misses (AUROC interval reaches "
            f"{CHANCE_AUROC}): {_enumerate(names)}"
        )
    return warnings


def tie_warnings(panel: pd.DataFrame) -> list[str]:
    """One line if many queries have two best items of exactly the same similarity, such as copies of an image."""
    ties = panel.loc[panel["n_tied"] >= MANY_TIES * panel["n_queries"]]
    if ties.empty:
        return []
    most = ties.loc[ties["n_tied"].idxmax()]
    return [
        f"{labels.dataset_label(panel)}: the two best items of {most['n_tied']:,} of {most['n_queries']:,} queries are "
        "equally similar, so that their top-1 is arbitrary; remove copies from the gallery"
    ]


def _enumerate(names: list[str]) -> str:
    """The first names, and the number of further ones."""
    hidden = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {hidden} more" if hidden > 0 else "")


def recall_warnings(table: pd.DataFrame) -> list[str]:
    """One line per data set with encoders whose recall differs from the published one."""
    off = table.dropna(subset="members_off")
    off = off[off["members_off"] != ""]
    lines = []
    for dataset, members in off.groupby("dataset", sort=False)["members_off"]:
        names = dict.fromkeys(name for entry in members.unique() for name in entry.split(", "))
        lines.append(
            f"{labels.format_name(str(dataset))}: recall differs from the published one for "
            f"{', '.join(names)}; see results/members"
        )
    return lines
