"""Reading human judgments of image-caption pairs that are not labelled: does the caption describe the image?

The format is that of the two files of Flickr8k (Hodosh, Young and Hockenmaier 2013, doi:10.1613/jair.3994):
tab-separated, possibly gzipped, with the columns image, caption (`NAME.jpg#2`, as in our splits) and three fields of
ratings.

- `expert`: three ratings from 1 (does not describe the image) to 4 (describes it); 3 allows minor mistakes.
- `crowd`: the share of yes (it describes the image, possibly with minor mistakes), the number of yes and of no.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from overtop.errors import OvertopError
from overtop.storage.foreign import read_text
from overtop.storage.split import Split

_LOWEST_RATING, _RELEVANT_RATING, _HIGHEST_RATING = 1, 3, 4
_SHARE_TOLERANCE = 1e-6  # the shares in the file are rounded


@dataclass(frozen=True)
class _Judgment:
    """The summary of all ratings of one pair.

    Attributes:
        relevance: in [0, 1].
        relevant: whether the pair counts as a match.
        n_raters: number of ratings.
    """

    relevance: float
    relevant: bool
    n_raters: int


def read_judgments(files: Mapping[str, Path], split: Split) -> pd.DataFrame:
    """Read the judgments of all pairs whose image and caption are both in `split`.

    Args:
        files: for each source, `expert` or `crowd`, its file.
        split: the split.

    Returns:
        One row per source and pair: `image_id`, `caption_id`, `source`, `relevance` in [0, 1] (experts: the scaled mean
        rating; crowd: the share of yes), `relevant` (experts: a mean of at least 3; crowd: more yes than no),
        `n_raters`, and `labelled`, whether the caption was written for that image.

    Raises:
        OvertopError: a line has the wrong format, a pair occurs twice, or a file has no pair of the split.
    """
    frames = []
    for source, path in files.items():
        pairs = _read_pairs(path, source)
        pairs = pairs[pairs["image_id"].isin(split.image_ids) & pairs["caption_id"].isin(split.caption_ids)]
        if pairs.empty:
            raise OvertopError(
                f"{path}: no pair has both its image and its caption in the split, whose captions have ids like "
                f"{split.caption_ids[0]!r}; give the judgments of this data set, or use the split that they belong to"
            )
        own_images = np.array([*split.image_ids, None])[split.image_rows(pairs["caption_id"].tolist(), split.image_ids)]
        frames.append(pairs.assign(labelled=own_images == pairs["image_id"]))
    return pd.concat(frames, ignore_index=True)


def _read_pairs(path: Path, source: str) -> pd.DataFrame:
    """All judged pairs of one file."""
    parse = {"expert": _parse_expert_ratings, "crowd": _parse_crowd_votes}[source]
    judgments: dict[tuple[str, str], _Judgment] = {}
    for number, line in enumerate(_read_lines(path), start=1):
        try:
            image, caption, *fields = line.split("\t")
            judgment = parse(fields)
        except (ValueError, OverflowError) as error:
            raise OvertopError(f"{path}, line {number}: {error}; correct the line or remove it") from error
        if (image, caption) in judgments:
            raise OvertopError(
                f"{path}, line {number}: the pair of {image} and {caption} occurs more than once; keep one line"
            )
        judgments[image, caption] = judgment
    rows = [(image, caption, source, *astuple(judgment)) for (image, caption), judgment in judgments.items()]
    return pd.DataFrame(rows, columns=["image_id", "caption_id", "source", "relevance", "relevant", "n_raters"])


def _read_lines(path: Path) -> list[str]:
    if not path.is_file():
        raise OvertopError(
            f"{path} is missing; judgments come with the folder of a data set (`source`), not with `routes`"
        )
    return read_text(path).splitlines()


def _parse_expert_ratings(fields: Sequence[str]) -> _Judgment:
    ratings = [int(field) for field in fields]
    if len(ratings) != 3 or not all(_LOWEST_RATING <= rating <= _HIGHEST_RATING for rating in ratings):
        raise ValueError(f"expected image, caption and three ratings from {_LOWEST_RATING} to {_HIGHEST_RATING}")
    n, total = len(ratings), sum(ratings)
    relevance = (total - _LOWEST_RATING * n) / ((_HIGHEST_RATING - _LOWEST_RATING) * n)
    return _Judgment(relevance, total >= _RELEVANT_RATING * n, n)


def _parse_crowd_votes(fields: Sequence[str]) -> _Judgment:
    share, yes, no = (convert(field) for convert, field in zip((float, int, int), fields, strict=True))
    n = yes + no
    if min(yes, no) < 0 or n == 0 or not abs(share - yes / n) < _SHARE_TOLERANCE:
        raise ValueError("expected image, caption, share of yes, number of yes and number of no")
    return _Judgment(yes / n, yes > no, int(n))
