"""Published numbers next to ours: those of the paper's tables, and the recall of the encoders behind a table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from overtop import labels
from overtop.evaluation.recall import RECALL_COLUMNS
from overtop.evaluation.rounding import DECIMALS
from overtop.reference.paper import METRIC_SUFFIXES, PaperTableName, read_paper_table
from overtop.reference.recalls import RECALL_TOLERANCE_POINTS

DAGGER = "†"
"""Marks a method with an encoder whose recall differs from the published one."""

_PAPER_COLUMNS = [f"paper_{name}" for name in METRIC_SUFFIXES]
_PAPER_SETUP = {"binning": "equal_width", "positives": "labelled"}


def combine_recalls(recalls: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table of the recall of several encoders, with columns `RECALL_COLUMNS`; empty if there are none."""
    return pd.concat(recalls, ignore_index=True) if recalls else pd.DataFrame(columns=RECALL_COLUMNS)


@dataclass(frozen=True)
class PublishedNumbers:
    """What a table is compared with.

    Attributes:
        reference: the paper's table, or None for no comparison with the paper.
        benchmarks: for each data set the benchmark of the paper's table that it corresponds to, or None.
        recalls: recall of the encoders behind the table (columns `RECALL_COLUMNS`), as far as it was checked.
    """

    reference: PaperTableName | None = None
    benchmarks: Mapping[str, str | None] = field(default_factory=dict)
    recalls: pd.DataFrame = field(default_factory=lambda: combine_recalls([]))

    def add_columns(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add the published numbers to a table of `combine_metrics`.

        Returns:
            The table with further columns. With a reference: `paper_spearman`, `paper_r2`, `paper_neg_sr2`, and
            `diff_neg_sr2`, ours minus the paper's; NaN where the paper has no number, and in rows with other bins or
            positives than the paper's. Always: `members_off`, the names of the posterior's encoders whose recall
            differs from the published one on the row's data set, and `members_unchecked`, the number of its encoders
            without a published recall.
        """
        if self.reference is not None:
            paper = self._paper_columns(table, self.reference)
            difference = table["neg_sr2"] - paper["paper_neg_sr2"]
            table = table.assign(**paper, diff_neg_sr2=difference.round(DECIMALS) + 0.0)  # no "-0.0"
        verdicts = self.recalls.groupby(["dataset", "encoder"])["verdict"].agg(_summarise_verdicts).to_dict()
        members = [
            [(name, verdicts.get((dataset, name), "no reference")) for name in names.split(", ")]
            for dataset, names in zip(table["dataset"], table["members"], strict=True)
        ]
        return table.assign(
            members_off=[", ".join(name for name, verdict in row if verdict == "off") for row in members],
            members_unchecked=[sum(verdict == "no reference" for _, verdict in row) for row in members],
        )

    def caption_notes(self, rows: pd.DataFrame) -> list[str]:
        """Sentences for the caption of some rows of `add_columns`: the source of the paper's numbers, and warnings."""
        notes = []
        if self.reference is not None and rows[_PAPER_COLUMNS].notna().any(axis=None):
            source = read_paper_table(self.reference).description
            notes.append(f"Third line: the paper's number, {source}; the published protocol repeats its code.")
        return notes + self.recall_notes(rows)

    def recall_notes(self, rows: pd.DataFrame) -> list[str]:
        """Sentences on encoders whose recall differs from the published one, or has none, of rows of `add_columns`."""
        notes = []
        off = _encoders(rows, "members_off")
        if off:
            differences = [(dataset, self._largest_difference(dataset, encoder)) for dataset, encoder in off]
            notes.append(
                f"{DAGGER} Includes encoders whose recall differs from the published one by more than "
                f"{RECALL_TOLERANCE_POINTS} points (largest difference in brackets): {_join_by_dataset(differences)}."
            )
        unpublished = self._unpublished() & set(_encoders(rows, "members"))
        if unpublished:
            notes.append(f"No recall is published for {_join_by_dataset(sorted(unpublished))}.")
        return notes

    def _paper_columns(self, table: pd.DataFrame, reference: PaperTableName) -> dict[str, np.ndarray]:
        source = read_paper_table(reference)
        comparable = (table[list(_PAPER_SETUP)] == pd.Series(_PAPER_SETUP)).all(axis=1)
        numbers = np.full((len(table), len(_PAPER_COLUMNS)), np.nan)
        for index, (row, same_setup) in enumerate(zip(table.itertuples(index=False), comparable, strict=True)):
            benchmark = self.benchmarks.get(row.dataset) if same_setup else None
            value = source.value(row.estimator, row.kind, row.architecture, benchmark, row.direction)
            if value is not None:
                numbers[index] = value
        return dict(zip(_PAPER_COLUMNS, numbers.T, strict=True))

    def _unpublished(self) -> set[tuple[str, str]]:
        """(data set, encoder) without a published recall although the data set is a benchmark."""
        rows = self.recalls[self.recalls["benchmark"].notna() & (self.recalls["verdict"] == "no reference")]
        return set(rows[["dataset", "encoder"]].itertuples(index=False, name=None))

    def _largest_difference(self, dataset: str, encoder: str) -> str:
        """An encoder and its largest difference from the published recall: `l14 (text to image R@5 -3.2)`."""
        rows = self.recalls[(self.recalls["dataset"] == dataset) & (self.recalls["encoder"] == encoder)]
        worst = rows.loc[rows["difference_points"].astype(float).abs().idxmax()]
        direction = labels.format_name(worst["direction"])
        return f"{encoder} ({direction} R@{worst['k']} {worst['difference_points']:+.1f})"


def _summarise_verdicts(verdicts: pd.Series) -> str:
    """Verdict on an encoder from those on its directions and ranks: `off` if any is off."""
    return next((verdict for verdict in ("off", "ok") if (verdicts == verdict).any()), "no reference")


def _encoders(rows: pd.DataFrame, column: str) -> list[tuple[str, str]]:
    """The distinct (data set, encoder) of a column that lists several encoders per row, separated by commas."""
    pairs = zip(rows["dataset"], rows[column], strict=True)
    return list(dict.fromkeys((dataset, name) for dataset, names in pairs for name in names.split(", ") if name))


def _join_by_dataset(pairs: Iterable[tuple[str, str]]) -> str:
    """`MSCOCO: a, b; Shapes: c` from (data set, text)."""
    grouped: dict[str, list[str]] = {}
    for dataset, text in pairs:
        grouped.setdefault(dataset, []).append(text)
    return "; ".join(f"{labels.format_name(dataset)}: {', '.join(texts)}" for dataset, texts in grouped.items())
