"""The methods of a table best first: one grid per data set and direction, with the numbers that decide."""

import pandas as pd

from overtop import labels
from overtop.tables.blocks import DAGGER, SIGNIFICANCE_LEVEL, format_number
from overtop.tables.key_numbers import prefer_rows
from overtop.tables.markdown import escape, format_grid
from overtop.tables.wide import GROUP, METHOD

HEADERS = ["Method", "AURC", "Recall@1", "AUROC of misses", "Rejection area / its bound", "Coverage"]


def ranked_to_markdown(table: pd.DataFrame) -> str:
    """A section with the methods of every data set and direction, the smallest AURC first.

    Args:
        table: rows of `PublishedNumbers.add_columns`; labelled positives and the corrected protocol, if it has them.
    """
    rows = prefer_rows(table).drop_duplicates([*GROUP, *METHOD])  # none of the numbers depends on the binning
    posteriors = labels.posterior_labels(rows)
    methods = [f"{labels.format_name(e)}, {posteriors[p]}" for e, p in zip(*(rows[m] for m in METHOD), strict=True)]
    marks = (rows["members_off"] != "").map({True: DAGGER, False: ""})
    rows = rows.assign(method=methods + marks.to_numpy()).sort_values("aurc", kind="stable")
    directions = labels.in_known_order(rows["direction"], labels.DIRECTIONS)
    panels = [(dataset, direction) for dataset in table["dataset"].unique() for direction in directions]
    sections = []
    for dataset, direction in panels:
        panel = rows[(rows["dataset"] == dataset) & (rows["direction"] == direction)]
        if len(panel):
            title = labels.panel_title(panel, int(panel["n_queries"].max()))
            sections.append(f"### {escape(title)}\n\n{_grid(panel)}")
    return "\n\n".join(["## Best first", *sections, escape(_note(rows))]) + "\n"


def _grid(panel: pd.DataFrame) -> str:
    lines = []
    for row in panel.to_dict("records"):
        star = escape("*") if row["p_holm"] < SIGNIFICANCE_LEVEL else ""
        area = f"{_interval(row, 'rejection_auc')} / {format_number(row['oracle_auc'], 3)}"
        numbers = [_interval(row, "recall_at_1"), _interval(row, "auroc"), area, _interval(row, "coverage")]
        lines.append([escape(row["method"]), _interval(row, "aurc") + star, *numbers])
    return format_grid(HEADERS, lines)


def _interval(row: dict[str, float], name: str) -> str:
    value, low, high = (format_number(row[name + end], 3) for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}]".replace(" ", "\N{NO-BREAK SPACE}")


def _note(rows: pd.DataFrame) -> str:
    """What the columns are, and what the order does not say."""
    parts = [
        "AURC: area under the risk-coverage curve, smaller is better. AUROC of misses: probability that a wrong top-1 "
        "is more uncertain than a right one; 0.5 is uninformative. Rejection area: that under the curve of Recall@1 as "
        "uncertain queries are rejected; its bound rejects all misses first. Coverage: share of the queries that can "
        "be answered, most certain first, at the precision of the configuration.",
        f"A star: AURC differs from the reference estimator (paired, Holm-adjusted p < {SIGNIFICANCE_LEVEL}).",
        "AURC compares methods of one posterior; between posteriors it also depends on Recall@1. The first of many "
        "methods is better on these queries than it will be on new ones: choose on a validation split.",
    ]
    tied = rows[rows["n_tied"] > 0].drop_duplicates([*GROUP, "n_tied"])
    if len(tied):
        counts = [
            f"{labels.panel_title(panel, int(panel['n_queries'].max()))}: {int(panel['n_tied'].max()):,}"
            for _, panel in tied.groupby(GROUP, sort=False)
        ]
        parts.append(
            f"Queries whose top-1 is arbitrary, as the two best items are equally similar: {'; '.join(counts)}."
        )
    return f"{labels.setup_label(rows, ['protocol', 'positives']).capitalize()}. {' '.join(parts)}"
