"""Which COCO images a caption describes besides its own, as people judged: CxC and ECCV Caption.

Both come as data files of the package `eccv_caption` (Chun et al. 2022, arXiv:2204.03359), whose code is not used.
They speak of Karpathy's 5,000 test images and 25,000 captions alone, and of COCO's own ids:

- `cxc`: CrissCrossed Captions (Parekh et al. 2021, arXiv:2004.15020), judgments over the whole split: 10,614 pairs
  beyond the labelled ones, told alike from both sides.
- `eccv`: ECCV Caption, pairs that five retrieval models proposed and people verified, with those of CxC: 21,442 beyond
  the labelled ones. Only 1,332 captions and 1,261 images were asked about.

A pair that matches does so whichever side asks, so both directions' lists are united, and a split that lists several
sources unites those too. What nobody judged keeps its labelled pair, so extended recall is a lower bound, and under
`eccv` alone hardly more than the labelled recall but for the few queries asked about. The labelled pair always counts,
although CxC denies one and lacks 28 captions, and ECCV Caption denies nine.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution

from overtop.errors import OvertopError

_PACKAGE = "eccv_caption"


def find_positives(image_of_caption: Mapping[int, int], sources: Sequence[str]) -> dict[int, set[int]]:
    """Every image of a split that each of its captions is known to describe, its own included.

    Args:
        image_of_caption: for each COCO caption id of the split the COCO id of its image.
        sources: `cxc`, `eccv` or both.

    Returns:
        For each caption id the ids of images, all of them of the split.

    Raises:
        OvertopError: the package is missing, or does not know a caption as one of that image.
    """
    _prove(image_of_caption)
    images = set(image_of_caption.values())
    known = {caption: {image} for caption, image in image_of_caption.items()}
    for source in sources:
        pairs = [(caption, image) for caption, found in _lists(f"{source}_caption_to_image") for image in found]
        pairs += [(caption, image) for image, found in _lists(f"{source}_image_to_caption") for caption in found]
        for caption, image in pairs:
            if caption in known and image in images:
                known[caption].add(image)
    return known


def _prove(image_of_caption: Mapping[int, int]) -> None:
    """Ids are what joins two sources here, so a split with foreign ones would silently have no extended positives."""
    owners = {caption: found[0] for caption, found in _lists("original_caption_to_image")}
    for caption, image in image_of_caption.items():
        if owners.get(caption) != image:
            raise OvertopError(
                f"{_PACKAGE} does not know caption {caption} of image {image}, so `extended` cannot be had: it is for "
                "COCO's Karpathy test split with COCO's ids; correct the annotations or remove `extended`"
            )


def _lists(name: str) -> list[tuple[int, list[int]]]:
    """One of the package's JSON files. They are read in place: importing the package would run its metrics."""
    try:
        path = distribution(_PACKAGE).locate_file(f"{_PACKAGE}/data/{name}.json")
    except PackageNotFoundError:
        raise OvertopError(
            f"`extended` needs the judgments in the package {_PACKAGE}: pip install {_PACKAGE}==0.1.0"
        ) from None
    with open(str(path), encoding="utf-8") as handle:
        return [(int(key), found) for key, found in json.load(handle).items()]
