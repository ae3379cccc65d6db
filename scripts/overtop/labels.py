"""Display names of configuration values, and the order in which tables and figures list them."""

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
PROBABILITIES = {
    "model": "softmax at the model's own temperature",
    "fitted": "softmax at the fitted temperature",
    "dirichlet": "Dirichlet mean",
}
POSITIVES = {"labelled": "labelled positives", "extended": "extended positives"}
ESTIMATORS = {
    "top1_similarity": "Top-1 similarity",
    "top1_consistency": "Top-1 consistency",
    "topk_consistency": "Top-5 consistency",
    "adversarial_pgd": "Adversarial (PGD)",
    "adversarial_linear": "Adversarial (linear)",
    "adversarial_exact": "Adversarial (exact)",
    "margin": "Margin",
    "margin_topk": "Margin (top 5)",
    "entropy": "Entropy",
    "max_softmax": "Max softmax",
    "bank_softmax": "Bank softmax",
    "bank_nnn": "Bank NNN",
    "energy": "Energy",
    "dirichlet_entropy": "Dirichlet entropy",
    "dirichlet_vacuity": "Dirichlet vacuity",
    "nqc_5": "NQC (5 items)",
    "nqc_50": "NQC (50 items)",
    "wig_5": "WIG (5 items)",
    "wig_50": "WIG (50 items)",
    "smv_5": "SMV (5 items)",
    "smv_50": "SMV (50 items)",
    "lsmv_5": "LSMV (5 items)",
    "lsmv_50": "LSMV (50 items)",
    "gap_5": "Score gap (5 items)",
    "gap_50": "Score gap (50 items)",
    "probvlm": "ProbVLM",
}
DATASETS = {
    "shapes": "Shapes",
    "coco": "MSCOCO",
    "mscoco": "MSCOCO",
    "flickr30k": "Flickr30K",
    "flickr8k": "Flickr8K",
}
DATASET_SUFFIXES = {"-subset": " subset", "-absent": " with absent targets"}
"""Display form of the end of the name of a data set that is derived from another one."""

UCAT_UNCERTAINTIES = {"dirichlet_entropy": "AU", "dirichlet_vacuity": "EU", "entropy": "PU"}
"""UCAT's aleatoric, epistemic and predictive uncertainty, by our names."""

_DISPLAY_NAMES = DIRECTIONS | PROTOCOLS | BINNINGS | POSITIVES | PROBABILITIES | ESTIMATORS | DATASETS


def format_name(name: str) -> str:
    """Display name of a data set, direction, estimator, protocol, binning, set of positives or probability.

    `mscoco-subset` becomes `MSCOCO subset`, `shapes-absent` becomes `Shapes with absent targets`; a name that is not
    listed above gets blanks and a capital letter.
    """
    if name in _DISPLAY_NAMES:
        return _DISPLAY_NAMES[name]
    for suffix, display in DATASET_SUFFIXES.items():
        parent = name.removesuffix(suffix)
        if parent not in ("", name):
            return format_name(parent) + display
    return capitalise(name.replace("_", " "))


def posterior_labels(rows: pd.DataFrame) -> dict[str, str]:
    """Display name of each posterior: its kind, plus a distinction where several posteriors have the same kind.

    The distinction is the architecture, `MC dropout, ViT-B-32`, if every posterior of the kind has a different one;
    otherwise the posterior's name, `MC dropout (b32-dropout)`.

    Args:
        rows: columns `posterior`, `kind` and optionally `architecture` (empty or missing where it is unknown).
    """
    labels = {}
    for kind, same_kind in rows.groupby("kind", sort=False):
        kind_label = str(KINDS.get(kind, kind))
        names = same_kind["posterior"].unique()
        architectures = _distinct_architectures(same_kind)
        for name in names:
            distinction = f", {architectures[name]}" if name in architectures else f" ({name})"
            labels[str(name)] = kind_label + (distinction if len(names) > 1 else "")
    return labels


def _distinct_architectures(same_kind: pd.DataFrame) -> dict[str, str]:
    """Architecture of each posterior of one kind; empty unless all of them are known and different."""
    if "architecture" not in same_kind:
        return {}
    pairs = same_kind[["posterior", "architecture"]].fillna("").drop_duplicates()
    distinct = pairs["posterior"].is_unique and pairs["architecture"].is_unique and pairs["architecture"].all()
    return dict(pairs.itertuples(index=False, name=None)) if distinct else {}


def in_known_order(names: Iterable[str], order: Iterable[str]) -> list[str]:
    """The distinct `names`: first those in `order`, in its order, then the others as they first appear."""
    distinct = list(dict.fromkeys(names))
    first = [name for name in order if name in distinct]
    return first + [name for name in distinct if name not in first]


def label_uncertainty(estimator: str) -> str:
    """Display name of an estimator with UCAT's abbreviation, if it has one: `Dirichlet entropy (AU)`."""
    abbreviation = UCAT_UNCERTAINTIES.get(estimator)
    return format_name(estimator) + (f" ({abbreviation})" if abbreviation else "")


def order_uncertainties(estimators: Iterable[str]) -> list[str]:
    """The distinct estimators in the order of tables, but UCAT's first."""
    return in_known_order(estimators, dict.fromkeys([*UCAT_UNCERTAINTIES, *ESTIMATORS]))


def format_count(number: int, noun: str) -> str:
    """A number with thousands separators and its noun: `1 query`, `2,000 queries`."""
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """The plural of a noun, such as `queries`, `classes` or `images`."""
    if noun.endswith("y"):
        return f"{noun.removesuffix('y')}ies"
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def capitalise(text: str) -> str:
    """The text with its first letter in upper case, and all others as they are."""
    return text[:1].upper() + text[1:]


def list_names(names: Iterable[str], most: int, separator: str = ", ") -> str:
    """The first `most` names, and the number of further ones: `a, b and 3 more`."""
    listed = list(names)
    hidden = len(listed) - most
    return separator.join(listed[:most]) + (f" and {hidden:,} more" if hidden > 0 else "")


def format_measure(row: pd.Series | Mapping[str, float], name: str) -> str:
    """A measure of a row with its interval: `0.300 [0.250, 0.350]`."""
    return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"


def shorten(text: str, length: int) -> str:
    """The text, or its beginning and three dots if it has more than `length` characters."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def dataset_label(rows: pd.DataFrame) -> str:
    """Data set and direction of the first row: `Shapes, text to image`."""
    return f"{format_name(rows.iloc[0]['dataset'])}, {format_name(rows.iloc[0]['direction'])}"


def panel_title(rows: pd.DataFrame, n_queries: int) -> str:
    """Data set and direction of the first row, and the number of queries: `Shapes, text to image (2,000 queries)`."""
    return f"{dataset_label(rows)} ({format_count(n_queries, 'query')})"


def setup_label(rows: pd.DataFrame, columns: Sequence[str]) -> str:
    """Values of `columns` in the first row: `corrected protocol; labelled positives`."""
    return "; ".join(format_name(rows.iloc[0][column]) for column in columns)
