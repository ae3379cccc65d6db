"""The wide layout as text, before it becomes Markdown or LaTeX: blocks of one setup, their rows, cells and captions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from overtop import labels
from overtop.tables.published import DAGGER, PublishedNumbers
from overtop.tables.rows import sort_rows
from overtop.tables.wide import GROUP, MEASURES, METHOD, SETUP, wide_table

SIGNIFICANCE_LEVEL = 0.05
"""A method differs from the reference if its Holm-adjusted p-value is lower; its AURC is starred."""

UNDEFINED = "–"
"""Shown for a method that was not run, or a number that is undefined."""


@dataclass(frozen=True)
class Cell:
    """One number as text.

    Attributes:
        number: the number, rounded.
        interval: its bootstrap interval, `[0.10, 0.20]`, or empty.
        paper: the paper's number, or empty.
        best: whether it is the best of its column; all numbers that look equal to the best one are.
        starred: whether it differs significantly from the reference method.
    """

    number: str
    interval: str
    paper: str
    best: bool
    starred: bool


@dataclass(frozen=True)
class Row:
    """A method, as text and by its posterior, and its cells."""

    method: str
    posterior: str
    cells: list[Cell]


@dataclass(frozen=True)
class Block:
    """Rows of one protocol, binning and set of positives (of one data set, if from `split_by_dataset`).

    Attributes:
        rows: rows of `PublishedNumbers.add_columns`.
        posteriors: display name of each posterior.
        published: what the table is compared with.
    """

    rows: pd.DataFrame
    posteriors: Mapping[str, str]
    published: PublishedNumbers

    def split_by_dataset(self) -> "Iterator[Block]":
        """A block for each data set."""
        for _, rows in self.rows.groupby("dataset", sort=False):
            yield replace(self, rows=rows)

    @property
    def dataset(self) -> str:
        """Display name of the first data set."""
        return labels.format_name(self.rows.iloc[0]["dataset"])

    @property
    def setup(self) -> str:
        """Display names of protocol, binning and positives."""
        return labels.setup_label(self.rows, SETUP)

    def caption(self) -> str:
        """Definitions of the measures, the setup, sample sizes, and warnings."""
        parts = [
            "How well the uncertainty is calibrated: Spearman correlation S (ideal -1) and R² (ideal 1) between the "
            "level of uncertainty and Recall@1, and -S·R² (ideal 1); AURC: area under the risk-coverage curve (ideal "
            f"0). Setup: {self.setup}. In brackets: bootstrap intervals, resampled by image.",
            f"Queries: {self._count_ranges(self.rows, GROUP, 'n_queries')}.",
        ]
        for column, keys, title in (
            ("n_absent", GROUP, "Of these, with the labelled positives absent from the gallery"),
            ("n_skipped", ["dataset"], "Items skipped"),
            ("n_truncated", ["dataset"], "Captions truncated"),
        ):
            affected = self.rows[self.rows[column] > 0]
            if len(affected):
                parts.append(f"{title}: {self._count_ranges(affected, keys, column)}.")
        if (self.rows["p_holm"] < SIGNIFICANCE_LEVEL).any():
            test = f"paired, Holm-adjusted p < {SIGNIFICANCE_LEVEL}"
            parts.append(f"A star: AURC differs from {self._reference_estimator()} ({test}).")
        parts += self.published.caption_notes(self.rows)
        return " ".join([*parts, "Best of each column in bold; a dash: not run, or undefined."])

    def _reference_estimator(self) -> str:
        """Display name of the estimator that the others are compared with: it has no p-value itself."""
        compared = self.rows.groupby("estimator", sort=False)["p_holm"].apply(lambda p: p.notna().any())
        return " or ".join(labels.format_name(str(name)) for name in compared.index[~compared])

    @staticmethod
    def _count_ranges(rows: pd.DataFrame, keys: list[str], column: str) -> str:
        """Smallest to largest count of each group: `Shapes, text to image: 1,990 to 2,000`."""
        texts = []
        for names, counts in rows.groupby(keys, sort=False)[column]:
            low, high = int(counts.min()), int(counts.max())
            group = ", ".join(map(labels.format_name, names))
            texts.append(f"{group}: {low:,}" if low == high else f"{group}: {low:,} to {high:,}")
        return "; ".join(texts)


def split_into_blocks(table: pd.DataFrame, published: PublishedNumbers | None) -> Iterator[Block]:
    """The blocks of a table of `combine_metrics`, in the order of protocol, binning and positives."""
    published = published or PublishedNumbers()
    for _, rows in sort_rows(published.add_columns(table), SETUP).groupby(SETUP, sort=False):
        yield Block(rows, labels.posterior_labels(rows), published)


def render_rows(block: Block) -> tuple[list[tuple[str, str]], list[Row]]:
    """The wide table of a block of one data set as text.

    Returns:
        Direction and measure of each column, and the rows.
    """
    values = wide_table(block.rows)
    low, high = (wide_table(block.rows, suffix=suffix).to_numpy() for suffix in ("_low", "_high"))
    paper = wide_table(block.rows, prefix="paper_").to_numpy()
    significant = block.rows[block.rows["p_holm"] < SIGNIFICANCE_LEVEL]
    starred = set(significant[[*METHOD, *GROUP]].itertuples(index=False, name=None))
    cells: list[list[Cell]] = [[] for _ in values.index]
    for column, (dataset, direction, name) in enumerate(values.columns):
        decimals = MEASURES[name].decimals
        shown = values.iloc[:, column].round(decimals) + 0.0  # no "-0.0"
        best = MEASURES[name].best(shown)
        for row, (method, value) in enumerate(shown.items()):
            ends = ", ".join(format_number(bound[row, column], decimals) for bound in (low, high))
            cells[row].append(
                Cell(
                    number=format_number(value, decimals),
                    interval="" if pd.isna(value) else f"[{ends}]",
                    paper="" if pd.isna(paper[row, column]) else format_number(paper[row, column], decimals),
                    best=bool(value == best),
                    starred=name == "aurc" and (*method, dataset, direction) in starred,
                )
            )
    marked = set(block.rows.loc[block.rows["members_off"] != "", "posterior"])
    rows = []
    for (estimator, posterior), row_cells in zip(values.index, cells, strict=True):
        method_label = f"{labels.format_name(estimator)}, {block.posteriors[posterior]}"
        rows.append(Row(method_label + (DAGGER if posterior in marked else ""), posterior, row_cells))
    return [(direction, name) for _, direction, name in values.columns], rows


def format_number(number: float | None, decimals: int) -> str:
    """A number with fixed decimals and no "-0.0"; a dash if it is missing."""
    return UNDEFINED if number is None or pd.isna(number) else f"{round(number, decimals) + 0.0:.{decimals}f}"
