"""What limits the results of a report, one sentence each."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from overtop import labels
from overtop.confidence.thresholds import fewest_queries
from overtop.report.rows import PANEL
from overtop.tables.warnings import attack_warnings, chance_warnings, recall_warnings, tie_warnings

FEW_QUERIES = 100
"""Queries below which intervals are so wide that little can be said."""

MAX_SKIPPED = 5
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
        lines += _count_warnings(panel)
        lines += [f"{line}." for line in tie_warnings(panel)]
    return lines + [f"{line}." for line in recall_warnings(rows)]


def study_warnings(checks: pd.DataFrame) -> list[str]:
    """Warnings on the attacks of a robustness study.

    Args:
        checks: result of `evaluation.attack_checks.check_attacks`.
    """
    return [f"{labels.capitalise(line)}." for line in attack_warnings(checks)]


def _count_warnings(panel: pd.DataFrame) -> list[str]:
    """Few queries, and no misses, of one data set and direction."""
    name, lines = labels.dataset_label(panel), []
    n_images = int(panel["n_clusters"].min())
    if n_images < FEW_QUERIES:
        lines.append(
            f"{name}: queries of {labels.format_count(n_images, 'image')} only, so that all intervals are wide."
        )
    if (panel["recall_at_1"] == 1).all():
        lines.append(f"{name}: no query is wrong, so that no uncertainty can be judged.")
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
            lines.append(
                f"{name}: {labels.format_count(facts['n_skipped'], 'item')} skipped, which cannot be embedded: "
                f"{labels.list_names(map(str, facts['skipped']), MAX_SKIPPED)}."
            )
        if facts["n_truncated"]:
            captions = labels.format_count(facts["n_truncated"], "caption")
            lines.append(f"{name}: {captions} truncated to the length of the encoder's context.")
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
