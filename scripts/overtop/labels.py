"""Names as a reader says them, and the order in which tables and figures list them."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

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
ESTIMATORS = {
    "top1_similarity": "Top-1 similarity",
    "top1_consistency": "Top-1 consistency",
    "topk_consistency": "Top-5 consistency",
    "adversarial_pgd": "Adversarial (PGD)",
    "adversarial_linear": "Adversarial (linear)",
    "adversarial_exact": "Adversarial (exact)",
    "margin": "Margin",
    "entropy": "Entropy",
    "max_softmax": "Max softmax",
    "energy": "Energy",
    "dirichlet_entropy": "Dirichlet entropy",
    "dirichlet_vacuity": "Dirichlet vacuity",
    "probvlm": "ProbVLM",
}
DATASETS = {
    "shapes": "Shapes",
    "coco": "MSCOCO",
    "mscoco": "MSCOCO",
    "flickr30k": "Flickr30K",
    "flickr8k": "Flickr8K",
}
SUBSET = "-subset"
"""What ends the name of a data set that is part of another."""

_KNOWN = DIRECTIONS | PROTOCOLS | BINNINGS | POSITIVES | ESTIMATORS | DATASETS


def label(name: str, labels: Mapping[str, str] | None = None) -> str:
    """`name` in words: as `labels` says, else as the project knows it, else with blanks and a capital.

    Part of a data set is called after the whole: `mscoco-subset` is `MSCOCO subset`.
    """
    known = (labels or {}).get(name) or _KNOWN.get(name)
    if known:
        return known
    whole = name.removesuffix(SUBSET)
    if whole not in ("", name):
        return f"{label(whole, labels)} subset"
    return name[:1].upper() + name[1:].replace("_", " ")


def posteriors(rows: pd.DataFrame) -> dict[str, str]:
    """Each posterior in words: its kind, and what sets it apart where that kind has several.

    That is its architecture, `MC dropout, ViT-B-32`, if every posterior of the kind has one of its own; else its name,
    `MC dropout (b32-dropout)`.

    Args:
        rows: columns `posterior`, `kind`, and `architecture` if it is known (empty where it is not).
    """
    said = {}
    for kind, of_kind in rows.groupby("kind", sort=False):
        words = str(KINDS.get(kind, kind))
        names = of_kind["posterior"].unique()
        architectures = _architectures(of_kind)
        for name in names:
            apart = f", {architectures[name]}" if name in architectures else f" ({name})"
            said[str(name)] = words + (apart if len(names) > 1 else "")
    return said


def _architectures(of_kind: pd.DataFrame) -> dict[str, str]:
    """The architecture of each posterior of a kind; empty unless it tells all of them apart."""
    if "architecture" not in of_kind:
        return {}
    pairs = of_kind[["posterior", "architecture"]].fillna("").drop_duplicates()
    apart = pairs["posterior"].is_unique and pairs["architecture"].is_unique and pairs["architecture"].all()
    return dict(pairs.itertuples(index=False, name=None)) if apart else {}


def ordered(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The distinct `names`: those in `known` first, in its order, then the others as they first appear."""
    distinct = list(dict.fromkeys(names))
    first = [name for name in known if name in distinct]
    return first + [name for name in distinct if name not in first]


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number with thousands separators and its noun: `2,000 queries`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def where(rows: pd.DataFrame, labels: Mapping[str, str] | None) -> str:
    """The first row's dataset and direction: `Shapes, text to image`."""
    first = rows.iloc[0]
    return f"{label(first['dataset'], labels)}, {label(first['direction'], labels)}"


def panel(rows: pd.DataFrame, n_queries: int, labels: Mapping[str, str] | None) -> str:
    """What one panel shows, from the first row: `Shapes, text to image (2,000 queries)`."""
    return f"{where(rows, labels)} ({count(n_queries, 'query', 'queries')})"


def setup(rows: pd.DataFrame, columns: Sequence[str]) -> str:
    """The choices behind the first row's number, in words: `corrected protocol; labelled positives`."""
    return "; ".join(label(rows.iloc[0][column]) for column in columns)
