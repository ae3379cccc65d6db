"""Names as a reader says them, and the order in which tables and figures list them."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

DIRECTIONS = {"t2i": "text to image", "i2t": "image to text"}
KINDS = {"deterministic": "deterministic", "mc_dropout": "MC dropout", "ensemble": "ensemble"}
PROTOCOLS = {"corrected": "corrected protocol", "published": "published protocol"}
BINNINGS = {"equal_width": "equal width", "equal_count": "equal count"}
POSITIVES = {"labelled": "labelled positives", "extended": "extended positives"}

ESTIMATORS = {
    "top1_similarity": "Top-1 similarity",
    "top1_consistency": "Top-1 consistency",
    "topk_consistency": "Top-k consistency",
    "adversarial_pgd": "Adversarial, gradient walk",
    "adversarial_linear": "Adversarial, linear",
    "adversarial_exact": "Adversarial, exact",
    "margin": "Margin of the top two",
    "max_softmax": "Largest softmax",
    "entropy": "Softmax entropy",
    "energy": "Energy",
    "dirichlet_vacuity": "Dirichlet vacuity",
    "dirichlet_entropy": "Dirichlet entropy",
    "probvlm": "ProbVLM",
}
"""Fallback labels, in the order of the paper's Table 1; the registry `overtop.estimators` has the authoritative ones."""

DATASETS = {"shapes": "Shapes", "coco": "MSCOCO", "flickr30k": "Flickr30K", "flickr8k": "Flickr8K"}

_KNOWN = DIRECTIONS | KINDS | PROTOCOLS | BINNINGS | POSITIVES | ESTIMATORS | DATASETS


def label(name: str, labels: Mapping[str, str] | None = None) -> str:
    """`name` in words: as `labels` says, else as the project knows it, else with blanks and a capital."""
    return (labels or {}).get(name) or _KNOWN.get(name) or name[:1].upper() + name[1:].replace("_", " ")


def method(estimator: str, posterior: str, labels: Mapping[str, str] | None = None) -> str:
    """An estimator under a posterior, as one line of a legend or a table: `Top-1 similarity (MC dropout)`."""
    return f"{label(estimator, labels)} ({label(posterior, labels)})"


def ordered(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The distinct `names`: those in `known` first, in its order, then the others as they first appear."""
    distinct = list(dict.fromkeys(names))
    first = [name for name in known if name in distinct]
    return first + [name for name in distinct if name not in first]


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number with thousands separators and its noun: `2,000 queries`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def panel(rows: pd.DataFrame, n_queries: int, labels: Mapping[str, str] | None = None) -> str:
    """What one panel shows, from the first row's dataset and direction: `Shapes, text to image (2,000 queries)`."""
    first = rows.iloc[0]
    where = f"{label(first['dataset'], labels)}, {label(first['direction'], labels)}"
    return f"{where} ({count(n_queries, 'query', 'queries')})"


def setup(rows: pd.DataFrame, columns: Sequence[str]) -> str:
    """The choices behind the first row's number, in words: `corrected protocol; labelled positives`."""
    return "; ".join(label(rows.iloc[0][column]) for column in columns)
