"""What limits the results of a report, one sentence each."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from overtop import labels
from overtop.confidence.thresholds import fewest_queries
from overtop.report.rows import PANEL
from overtop.tables.warnings import chance_warnings, recall_warnings

FEW_QUERIES = 100
"""Queries below which intervals are so wide that little can be said."""

MAX_NAMES = 5
"""Skipped items that a warning names."""


def table_warnings(rows: pd.DataFrame) -> list[str]:
    """Warnings on the numbers of the methods that a report shows.

    Args:
        rows: from `rows.default_rows`.
    """
    posteriors = labels.posterior_labels(rows)
    lines: list[str] = []
    for _, panel in rows.groupby(PANEL, sort=False):
        lines += [f"{line}." for line in chance_warnings(panel, posteriors)]
        lines += _count_warnings(panel, posteriors)
    return lines + [f"{line}." for line in recall_warnings(rows)]


def _count_warnings(panel: pd.DataFrame, posteriors: Mapping[str, str]) -> list[str]:
    """Few queries, no misses, and equal similarities, by panel."""
    name, lines = labels.dataset_label(panel), []
    n_images = int(panel["n_clusters"].min())
    if n_images < FEW_QUERIES:
        lines.append(
            f"{name}: queries of {labels.format_count(n_images, 'image')} only, so that all intervals are wide."
        )
    if (panel["recall_at_1"] == 1).all():
        lines.append(f"{name}: no query is wrong, so that no uncertainty can be judged.")
    tied = panel[panel["n_tied"] > 0].drop_duplicates("posterior")
    for row in tied.itertuples():
        lines.append(
            f"{name}: for {row.n_tied:,} of {row.n_queries:,} queries the best two items are equally similar "
            f"({posteriors[row.posterior]}); the one that comes first in the gallery counts as the top-1."
        )
    return lines


def provenance_warnings(provenance: Mapping[tuple[str, str, str], Mapping[str, Any]]) -> list[str]:
    """Skipped items and truncated captions, each data set and split once.

    Args:
        provenance: of the scores, by data set, split and posterior.
    """
    lines = []
    for (dataset, split, _), facts in provenance.items():
        name = f"{labels.format_name(dataset)}, {split}"
        if facts["n_skipped"]:
            names = [str(item) for item in facts["skipped"][:MAX_NAMES]]
            more = f" and {facts['n_skipped'] - MAX_NAMES:,} more" if facts["n_skipped"] > MAX_NAMES else ""
            lines.append(
                f"{name}: {labels.format_count(facts['n_skipped'], 'item')} skipped, which cannot be embedded: "
                f"{', '.join(names)}{more}."
            )
        if facts["n_truncated"]:
            captions = labels.format_count(facts["n_truncated"], "caption")
            lines.append(f"{name}: {captions} longer than the encoder's context, of which the beginning is embedded.")
    return list(dict.fromkeys(lines))


def operating_warnings(operating: pd.DataFrame) -> list[str]:
    """Too few queries to promise a precision, by data set and direction.

    Args:
        operating: operating points.
    """
    lines = []
    points = operating[operating["form"] == "guaranteed_precision"]
    for (_, _, target, confidence), rows in points.groupby(
        ["dataset", "direction", "target", "confidence"], sort=False
    ):
        n, fewest = int(rows["n_validation"].min()), fewest_queries(target, confidence)
        if n < fewest:
            lines.append(
                f"{labels.dataset_label(rows)}: thresholds were chosen on {n:,} queries, one per image; no R@1 of "
                f"{target:g} can be promised with fewer than {fewest}."
            )
    return lines
