"""Names as a reader says them, and the order in which tables and figures list them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from overtop.estimators import registry

DIRECTIONS = {"t2i": "text to image", "i2t": "image to text"}
KINDS = {
    "deterministic": "deterministic",
    "mc_dropout": "MC dropout",
    "ensemble": "ensemble",
    "imported": "imported samples",
}
PROTOCOLS = {"corrected": "corrected protocol", "published": "published protocol"}
BINNINGS = {"equal_width": "bins of equal width", "equal_count": "bins of equal count"}
POSITIVES = {"labelled": "labelled positives", "extended": "extended positives"}
ESTIMATORS = {name: record.label for name, record in registry.ESTIMATORS.items()}
DATASETS = {"shapes": "Shapes", "coco": "MSCOCO", "flickr30k": "Flickr30K", "flickr8k": "Flickr8K"}

_KNOWN = DIRECTIONS | PROTOCOLS | BINNINGS | POSITIVES | ESTIMATORS | DATASETS


def label(name: str, labels: Mapping[str, str] | None = None) -> str:
    """`name` in words: as `labels` says, else as the project knows it, else with blanks and a capital."""
    return (labels or {}).get(name) or _KNOWN.get(name) or name[:1].upper() + name[1:].replace("_", " ")


def posteriors(rows: pd.DataFrame) -> dict[str, str]:
    """Each posterior in words: its kind, and its own name too where that kind has several.

    Args:
        rows: columns `posterior`, `kind`.
    """
    kinds = dict(zip(rows["posterior"], rows["kind"], strict=True))
    several = Counter(kinds.values())
    said = {name: str(KINDS.get(kind, kind)) for name, kind in kinds.items()}
    return {name: f"{said[name]} ({name})" if several[kind] > 1 else said[name] for name, kind in kinds.items()}


def ordered(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The distinct `names`: those in `known` first, in its order, then the others as they first appear."""
    distinct = list(dict.fromkeys(names))
    first = [name for name in known if name in distinct]
    return first + [name for name in distinct if name not in first]


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number with thousands separators and its noun: `2,000 queries`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def panel(rows: pd.DataFrame, n_queries: int, labels: Mapping[str, str] | None) -> str:
    """What one panel shows, from the first row's dataset and direction: `Shapes, text to image (2,000 queries)`."""
    first = rows.iloc[0]
    where = f"{label(first['dataset'], labels)}, {label(first['direction'], labels)}"
    return f"{where} ({count(n_queries, 'query', 'queries')})"


def setup(rows: pd.DataFrame, columns: Sequence[str]) -> str:
    """The choices behind the first row's number, in words: `corrected protocol; labelled positives`."""
    return "; ".join(label(rows.iloc[0][column]) for column in columns)
