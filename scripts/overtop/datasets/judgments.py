"""What people say of pairs that are not labelled: does this caption describe that image?

The form is that of Flickr8k's two files (Hodosh, Young and Hockenmaier 2013, doi:10.1613/jair.3994), tab-separated and
possibly gzipped: image, caption (`NAME.jpg#2`, as our splits name it), then three fields on what the raters said.

- `expert`: three ratings, from 1 (does not describe the image) to 4 (describes it); 3 is but for minor mistakes.
- `crowd`: the share of yes (it describes the image, maybe with minor mistakes), the number of yes, the number of no.
"""

import gzip
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from overtop.errors import OvertopError
from overtop.storage.split import Split

_LOWEST, _RELEVANT, _HIGHEST = 1, 3, 4  # ratings of experts
_ROUNDING = 1e-6  # the crowd's shares are printed as floats


def read_judgments(files: Mapping[str, Path], split: Split) -> pd.DataFrame:
    """Read the judgments of pairs whose image and caption both are of `split`.

    Args:
        files: for each source, `expert` or `crowd`, its file.
        split: whose ids the judgments speak of.

    Returns:
        One row per source and pair: `image_id`, `caption_id`, `source`, `relevance` in [0, 1] (experts: the mean
        rating, scaled; crowd: the share of yes), `relevant` (experts: a mean of at least 3; crowd: more yes than no),
        `n_raters`, and `labelled`, whether the caption was written for that very image.

    Raises:
        OvertopError: a line is not of its form, a pair comes twice, or a file has no pair of the split.
    """
    owner = {caption: split.image_ids[i] for caption, i in zip(split.caption_ids, split.image_of_caption, strict=True)}
    frames = []
    for source, path in files.items():
        pairs = _read(path, source)
        pairs = pairs[pairs["image_id"].isin(split.image_ids) & pairs["caption_id"].isin(split.caption_ids)]
        if pairs.empty:
            raise OvertopError(
                f"{path}: no pair has both its image and its caption in the split, which names captions like "
                f"{split.caption_ids[0]!r}; give the judgments of this data set, or ask for the split they are of"
            )
        frames.append(pairs.assign(labelled=pairs["caption_id"].map(owner) == pairs["image_id"]))
    return pd.concat(frames, ignore_index=True)


def _read(path: Path, source: str) -> pd.DataFrame:
    """Every line of one file."""
    summarise = {"expert": _expert, "crowd": _crowd}[source]
    pairs: dict[tuple[str, str], tuple[float, bool, int]] = {}
    for number, line in enumerate(_lines(path), start=1):
        try:
            image, caption, *said = line.split("\t")
            judgment = summarise(said)
        except ValueError as error:
            raise OvertopError(f"{path}, line {number}: {error}; correct the line or remove it") from error
        if (image, caption) in pairs:
            raise OvertopError(
                f"{path}, line {number}: the pair of {image} and {caption} came before; keep one of them"
            )
        pairs[image, caption] = judgment
    rows = [(image, caption, source, *judgment) for (image, caption), judgment in pairs.items()]
    return pd.DataFrame(rows, columns=["image_id", "caption_id", "source", "relevance", "relevant", "n_raters"])


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise OvertopError(
            f"{path} is missing; judgments come with the folder of a data set (`source`), not by `routes`"
        )
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return content.decode("utf-8").splitlines()
    except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise OvertopError(f"{path}: cannot be read as text ({error}); the file is damaged, get it again") from error


def _expert(said: Sequence[str]) -> tuple[float, bool, int]:
    """Relevance, whether that is relevant, number of raters."""
    ratings = [int(rating) for rating in said]
    if len(ratings) != 3 or not all(_LOWEST <= rating <= _HIGHEST for rating in ratings):
        raise ValueError(f"not image, caption and three ratings from {_LOWEST} to {_HIGHEST}")
    n, total = len(ratings), sum(ratings)
    return (total - _LOWEST * n) / ((_HIGHEST - _LOWEST) * n), total >= _RELEVANT * n, n


def _crowd(said: Sequence[str]) -> tuple[float, bool, int]:
    """Relevance, whether that is relevant, number of raters."""
    share, yes, no = (convert(field) for convert, field in zip((float, int, int), said, strict=True))
    n = yes + no
    if min(yes, no) < 0 or n == 0 or not abs(share - yes / n) < _ROUNDING:
        raise ValueError("not image, caption, share of yes, number of yes and number of no")
    return yes / n, yes > no, int(n)
