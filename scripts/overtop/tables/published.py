"""What others published, beside our numbers: the paper's own, and the recall of the encoders behind them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from overtop import labels as words
from overtop.reference.paper import PAPER, Reference, paper_table
from overtop.reference.recalls import RECALL_COLUMNS, TOLERANCE
from overtop.tables.rows import DECIMALS

_PAPER = [f"paper_{name}" for name in PAPER]
_COMPARABLE = {"binning": "equal_width", "positives": "labelled"}  # how the paper's numbers are made


@dataclass(frozen=True)
class Published:
    """What a table is held against.

    Attributes:
        reference: the paper's table, None for no such columns.
        benchmarks: for each data set the columns of the paper's table that apply to it, or None.
        recalls: of the encoders behind the table (columns `RECALL_COLUMNS`), as many as were checked.
    """

    reference: Reference | None = None
    benchmarks: Mapping[str, str | None] = field(default_factory=dict)
    recalls: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=RECALL_COLUMNS))

    def beside(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table of `tidy` with what was published beside its numbers.

        Returns:
            Further columns. With a reference `paper_spearman`, `paper_r2` and `paper_neg_sr2`, and `diff_neg_sr2`, ours
            less the paper's; missing where the paper has no such number, and in rows of other bins or positives than
            the paper's. Always `members_off`, the names of a posterior's encoders whose recall is not what was
            published for them, on the row's data set, and `members_unchecked`, how many could not be held against
            anything.
        """
        if self.reference is not None:
            paper = self._paper(table)
            table = table.assign(
                **paper, diff_neg_sr2=(table["neg_sr2"] - paper["paper_neg_sr2"]).round(DECIMALS) + 0.0
            )
        verdicts = self.recalls.groupby(["dataset", "encoder"])["verdict"].agg(_worst).to_dict()
        members = [
            [(name, verdicts.get((dataset, name), "no reference")) for name in names.split(", ")]
            for dataset, names in zip(table["dataset"], table["members"], strict=True)
        ]
        return table.assign(
            members_off=[", ".join(name for name, verdict in row if verdict == "off") for row in members],
            members_unchecked=[sum(verdict == "no reference" for _, verdict in row) for row in members],
        )

    def notes(self, block: pd.DataFrame, labels: Mapping[str, str] | None = None) -> list[str]:
        """Sentences for the caption of a block of `beside`: what stands there, and what to beware of."""
        found = []
        if self.reference is not None and _has_paper(block):
            source = paper_table(self.reference).words
            found.append(f"Third line: what the paper says, {source}; the published protocol repeats its code.")
        off = _names(zip(block["dataset"], block["members_off"], strict=True))
        if off:
            described = _by_dataset(((dataset, self._described(dataset, name)) for dataset, name in off), labels)
            found.append(
                f"{DAGGER} Rests on encoders whose recall is more than {TOLERANCE} points off what is published, with "
                f"the largest difference: {described}."
            )
        unknown = self._unknown() & set(_names(zip(block["dataset"], block["members"], strict=True)))
        if unknown:
            found.append(f"No recall is published of {_by_dataset(sorted(unknown), labels)}.")
        return found

    def _unknown(self) -> set[tuple[str, str]]:
        """(data set, encoder) of those of which nothing is published though the data set is a benchmark."""
        rows = self.recalls[self.recalls["benchmark"].notna() & (self.recalls["verdict"] == "no reference")]
        return set(rows[["dataset", "encoder"]].itertuples(index=False, name=None))

    def _paper(self, table: pd.DataFrame) -> dict[str, np.ndarray]:
        assert self.reference is not None, "asked for the paper's numbers without a reference"
        source = paper_table(self.reference)
        comparable = (table[list(_COMPARABLE)] == pd.Series(_COMPARABLE)).all(axis=1)
        numbers = np.full((len(table), len(PAPER)), np.nan)
        for number, (row, same) in enumerate(zip(table.itertuples(index=False), comparable, strict=True)):
            benchmark = self.benchmarks.get(row.dataset) if same else None
            value = source.value(row.estimator, row.kind, row.architecture, benchmark, row.direction)
            if value is not None:
                numbers[number] = value
        return dict(zip(_PAPER, numbers.T, strict=True))

    def _described(self, dataset: str, encoder: str) -> str:
        """An encoder and where it is farthest off."""
        mine = self.recalls[(self.recalls["dataset"] == dataset) & (self.recalls["encoder"] == encoder)]
        worst = mine.loc[mine["difference_points"].astype(float).abs().idxmax()]
        return f"{encoder} ({words.label(worst['direction'])} R@{worst['k']} {worst['difference_points']:+.1f})"


DAGGER = "†"
"""Marks a method that rests on an encoder whose recall is off."""


def _has_paper(table: pd.DataFrame) -> bool:
    """Whether the paper says anything about any row."""
    return _PAPER[0] in table and bool(table[_PAPER].notna().any(axis=None))


def _worst(verdicts: pd.Series) -> str:
    """Of an encoder from those of its rows."""
    return next((verdict for verdict in ("off", "ok") if (verdicts == verdict).any()), "no reference")


def _names(rows: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The distinct (data set, encoder) of rows that name several encoders each."""
    return list(dict.fromkeys((dataset, name) for dataset, names in rows for name in names.split(", ") if name))


def _by_dataset(pairs: Iterable[tuple[str, str]], labels: Mapping[str, str] | None) -> str:
    grouped: dict[str, list[str]] = {}
    for dataset, what in pairs:
        grouped.setdefault(dataset, []).append(what)
    return "; ".join(f"{words.label(dataset, labels)}: {', '.join(what)}" for dataset, what in grouped.items())
