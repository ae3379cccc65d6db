"""The calibration tables of the paper (Gomez 2025).

`table1.csv` and `table2.csv` contain its Tables 1 and 2 as printed. Table 1 names no architecture; according to
Sec. 4.2 all of it is ViT-L/14. The row of ProbVLM (posterior `adapter`), which the paper includes for comparison, has
no architecture here. Its S on Flickr30K, text to image, is printed as 0.70 next to a -S R2 of 0.35, so one of the two
has the wrong sign; both are stored as printed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

import pandas as pd

from overtop.terms import DIRECTIONS

PaperTableName = Literal["table1", "table2"]

METRIC_SUFFIXES = {"spearman": "S", "r2": "R2", "neg_sr2": "negSR2"}
"""The printed metrics by our name, and the suffix of their columns in the CSV files."""

_BENCHMARKS = ("coco", "flickr30k")
_KINDS = {"adapter": "deterministic"}  # the paper's posterior `adapter` is our `probvlm` under a deterministic one
_SAMPLING = "50 passes of dropout at rate 0.2"
_DESCRIPTIONS = {
    "table1": f"Table 1 of Gomez (2025; ViT-L/14, {_SAMPLING}, 12 members; ProbVLM trained on MSCOCO)",
    "table2": f"Table 2 of Gomez (2025; {_SAMPLING})",
}


class PaperValue(NamedTuple):
    """The paper's numbers for one method on one benchmark and direction: S, R2 and -S R2, to two decimals."""

    spearman: float
    r2: float
    neg_sr2: float


class PaperMethod(NamedTuple):
    """A method (row) of a table of the paper; an empty architecture applies to every encoder."""

    estimator: str
    kind: str
    architecture: str


@dataclass(frozen=True)
class PaperTable:
    """One of the paper's tables.

    Attributes:
        description: number of the table and its settings, for captions.
        values: by method, the printed numbers by (benchmark, direction).
    """

    description: str
    values: Mapping[PaperMethod, Mapping[tuple[str, str], PaperValue]]

    def method(self, estimator: str, kind: str, architecture: str) -> PaperMethod | None:
        """The method of the table that corresponds to one of ours, None if there is none.

        Args:
            estimator: our name for it.
            kind: kind of the posterior.
            architecture: architecture of its encoder without the activation.
        """
        candidates = (PaperMethod(estimator, kind, name) for name in (architecture, ""))
        return next((method for method in candidates if method in self.values), None)

    def value(
        self, estimator: str, kind: str, architecture: str, benchmark: str | None, direction: str
    ) -> PaperValue | None:
        """The paper's numbers for one of our methods, None if the table has none.

        Args:
            estimator: our name for it.
            kind: kind of the posterior.
            architecture: architecture of its encoder without the activation.
            benchmark: `coco` or `flickr30k`; None for any other data set.
            direction: `t2i` or `i2t`.
        """
        method = self.method(estimator, kind, architecture)
        return None if method is None or benchmark is None else self.values[method].get((benchmark, direction))


@cache
def read_paper_table(name: PaperTableName) -> PaperTable:
    """Table 1 or 2 of the paper."""
    values: dict[PaperMethod, dict[tuple[str, str], PaperValue]] = {}
    with resources.files("overtop.reference").joinpath(f"{name}.csv").open(encoding="utf-8") as file:
        for row in pd.read_csv(file, keep_default_na=False).to_dict("records"):
            method = PaperMethod(row["estimator"], _KINDS.get(row["posterior"], row["posterior"]), row["architecture"])
            values[method] = {
                (benchmark, direction): PaperValue(
                    *(row[f"{benchmark}_{direction}_{suffix}"] for suffix in METRIC_SUFFIXES.values())
                )
                for benchmark in _BENCHMARKS
                for direction in DIRECTIONS
            }
    return PaperTable(_DESCRIPTIONS[name], values)
