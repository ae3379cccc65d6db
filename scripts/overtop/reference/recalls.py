"""Published recall of open_clip's pretrained models.

`recalls.csv` contains R@1, R@5 and R@10 from `docs/openclip_retrieval_results.csv` of the repository
mlfoundations/open_clip, measured with CLIP_benchmark. `dfn2b_s39b` is not among them.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources

import pandas as pd

from overtop.reference.architecture import strip_activation

RECALL_TOLERANCE_POINTS = 0.5
"""Largest accepted difference from a published R@k, in percentage points. Omitted captions and arithmetic cause
smaller differences; a wrong activation, wrong preprocessing or other captions cause larger ones."""


def find_published_recall(
    architecture: str, tag: str | None, benchmark: str | None, direction: str, k: int
) -> float | None:
    """R@k of a pretrained model, None if it was not published.

    Args:
        architecture: open_clip's name; the activation is ignored, since weights are published with their own.
        tag: open_clip's name for the weights; None for any others.
        benchmark: `coco` or `flickr30k`; None for any other data set.
        direction: `t2i` or `i2t`.
        k: 1, 5 or 10.
    """
    if tag is None:
        return None
    return _read_recalls().get((strip_activation(architecture), tag), {}).get(f"{benchmark}_{direction}_r{k}")


@cache
def _read_recalls() -> Mapping[tuple[str, str], Mapping[str, float]]:
    """The rows of `recalls.csv` by (architecture without activation, tag)."""
    with resources.files("overtop.reference").joinpath("recalls.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file)
    models = zip(table.pop("architecture").map(strip_activation), table.pop("tag"), strict=True)
    return dict(zip(models, table.to_dict("records"), strict=True))
