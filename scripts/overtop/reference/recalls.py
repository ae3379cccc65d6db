"""Recall that was published for pretrained models, and how ours is held against it."""

from collections.abc import Mapping
from functools import cache
from importlib import resources

import pandas as pd

from overtop.reference.architecture import plain

TOLERANCE = 0.5
"""Points of R@k that an encoder may be off. Captions left out and arithmetic explain less; a wrong activation or
preprocessing, or other captions, explain more."""

RECALL_COLUMNS = [
    "dataset", "split", "encoder", "architecture", "tag", "benchmark", "direction", "k", "recall", "n_queries",
    "published", "difference_points", "verdict",
]  # fmt: skip
"""Of the table of an encoder's recall, a row per direction and k (`evaluation.published`)."""


def published_recall(architecture: str, tag: str | None, benchmark: str | None, direction: str, k: int) -> float | None:
    """R@k of a pretrained model, None if it was not published.

    Args:
        architecture: open_clip's name; a model's figures are those of its weights with their own activation.
        tag: open_clip's name for the weights.
        benchmark: `coco` or `flickr30k`, or None.
        direction: `t2i` or `i2t`.
        k: 1, 5 or 10.
    """
    if tag is None:
        return None
    return _recalls().get((plain(architecture), tag), {}).get(f"{benchmark}_{direction}_r{k}")


@cache
def _recalls() -> Mapping[tuple[str, str], Mapping[str, float]]:
    with resources.files("overtop.reference").joinpath("recalls.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file)
    models = zip(table.pop("architecture").map(plain), table.pop("tag"), strict=True)
    return dict(zip(models, table.to_dict("records"), strict=True))
