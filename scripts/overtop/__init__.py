"""overtop: know when CLIP's top hit is wrong.

For a deployed search (docs/api.md): `fit` and `load` make a judge of new queries, `fit_topk` and `load_topk` one that
needs only the results of a search engine, and `queries_to_label` says which queries to label. Their modules are
imported at first use.
"""

from importlib import import_module

__version__ = "0.1.0"

_LAZY = {
    "Judge": "overtop.confidence.judge",
    "TopkJudge": "overtop.confidence.topk_judge",
    "fit": "overtop.confidence.judge",
    "fit_topk": "overtop.confidence.topk_judge",
    "load": "overtop.confidence.judge",
    "load_topk": "overtop.confidence.topk_judge",
    "queries_to_label": "overtop.confidence.labelling",
}
"""Module of each public name."""

__all__ = [*_LAZY]


def __getattr__(name: str) -> object:
    """Import a public name at its first use, since torch takes seconds to import."""
    if name not in _LAZY:
        raise AttributeError(f"module 'overtop' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *_LAZY})
