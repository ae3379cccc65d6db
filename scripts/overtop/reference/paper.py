"""The paper's tables of calibration."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

import pandas as pd

from overtop.terms import DIRECTIONS

Reference = Literal["table1", "table2"]

PAPER = {"spearman": "S", "r2": "R2", "neg_sr2": "negSR2"}
"""What the paper's tables tell, by our name for it and by the end of a column in the files."""

_BENCHMARKS = ("coco", "flickr30k")
_KINDS = {"adapter": "deterministic"}  # what we call probvlm under a deterministic posterior
_PASSES = "50 passes of dropout at rate 0.2"
_WORDS = {
    "table1": f"Table 1 of Gomez (2025; ViT-L/14, {_PASSES}, 12 members; ProbVLM trained on MSCOCO)",
    "table2": f"Table 2 of Gomez (2025; {_PASSES})",
}


class PaperValue(NamedTuple):
    """What the paper says of one method: S, R2 and -S R2, to two decimals."""

    spearman: float
    r2: float
    neg_sr2: float


class _Row(NamedTuple):
    """A method of the paper; an empty architecture stands for any."""

    estimator: str
    kind: str
    architecture: str


@dataclass(frozen=True)
class PaperTable:
    """One of the paper's tables.

    Attributes:
        words: which table it is, and of what.
    """

    words: str
    _values: Mapping[_Row, Mapping[tuple[str, str], PaperValue]]

    def row(self, estimator: str, kind: str, architecture: str) -> _Row | None:
        """The row of a method, None if the table has none.

        Args:
            estimator: our name for it.
            kind: of the posterior.
            architecture: without what it says of the activation.
        """
        rows = (_Row(estimator, kind, name) for name in (architecture, ""))
        return next((row for row in rows if row in self._values), None)

    def value(
        self, estimator: str, kind: str, architecture: str, benchmark: str | None, direction: str
    ) -> PaperValue | None:
        """What the paper says of a method, None if it says nothing.

        Args:
            estimator: our name for it.
            kind: of the posterior.
            architecture: without what it says of the activation.
            benchmark: `coco` or `flickr30k`, or None.
            direction: `t2i` or `i2t`.
        """
        row = self.row(estimator, kind, architecture)
        return None if row is None or benchmark is None else self._values[row].get((benchmark, direction))


@cache
def paper_table(name: Reference) -> PaperTable:
    """Table 1 or 2 of the paper."""
    values: dict[_Row, dict[tuple[str, str], PaperValue]] = {}
    with resources.files("overtop.reference").joinpath(f"{name}.csv").open(encoding="utf-8") as file:
        for line in pd.read_csv(file, keep_default_na=False).to_dict("records"):
            row = _Row(line["estimator"], _KINDS.get(line["posterior"], line["posterior"]), line["architecture"])
            values[row] = {
                (benchmark, way): PaperValue(*(line[f"{benchmark}_{way}_{end}"] for end in PAPER.values()))
                for benchmark in _BENCHMARKS
                for way in DIRECTIONS
            }
    return PaperTable(_WORDS[name], values)
