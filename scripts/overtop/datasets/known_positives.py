"""Extended positives of COCO captions from two sets of human judgments: CxC and ECCV Caption.

Both are data files of the package `eccv_caption` (Chun et al. 2022, arXiv:2204.03359), whose code is not used. They
cover only Karpathy's 5,000 test images and 25,000 captions, identified by COCO's ids:

- `cxc`: CrissCrossed Captions (Parekh et al. 2021, arXiv:2004.15020), judgments over the whole split: 10,614 pairs in
  addition to the labelled ones. Both directions list the same pairs.
- `eccv`: ECCV Caption, pairs that five retrieval models proposed and annotators verified, including those of CxC:
  21,442 in addition to the labelled ones. Only 1,332 captions and 1,261 images were used as queries.

A matching pair matches in both directions, so the lists of both directions are united, and so are several sources. A
query without judgments keeps only its labelled pair, so extended recall is a lower bound; under `eccv` alone it is
close to the labelled recall, because few queries were judged. The labelled pair is always a positive, although CxC
rejects one and lacks 28 captions, and ECCV Caption rejects nine.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution

from overtop.errors import OvertopError

_PACKAGE = "eccv_caption"


def find_extended_positives(image_of_caption: Mapping[int, int], sources: Sequence[str]) -> dict[int, set[int]]:
    """All images of a split that each of its captions is known to describe, its own included.

    Args:
        image_of_caption: for each COCO caption id of the split the COCO id of its image.
        sources: `cxc`, `eccv` or both.

    Returns:
        For each caption id the ids of its positive images within the split.

    Raises:
        OvertopError: the package is not installed, or does not contain a caption with that image.
    """
    _check_caption_ids(image_of_caption)
    images = set(image_of_caption.values())
    positives = {caption: {image} for caption, image in image_of_caption.items()}
    for source in sources:
        pairs = [(caption, image) for caption, listed in _read_lists(f"{source}_caption_to_image") for image in listed]
        pairs += [(caption, image) for image, listed in _read_lists(f"{source}_image_to_caption") for caption in listed]
        for caption, image in pairs:
            if caption in positives and image in images:
                positives[caption].add(image)
    return positives


def find_eccv_judgments(image_of_caption: Mapping[int, int]) -> tuple[dict[int, set[int]], set[int], set[int]]:
    """The positives by ECCV Caption and the queries that were judged, as the package's own metrics use them.

    Unlike `find_extended_positives`, this is ECCV Caption alone: without labelled pairs that its annotators rejected.

    Args:
        image_of_caption: for each COCO caption id of the split the COCO id of its image.

    Returns:
        For each caption id of the split the ids of its positive images within the split, possibly none; the ids of
        the captions that were judged as queries, in the split or not; and those of the images.

    Raises:
        OvertopError: the package is not installed, or does not contain a caption with that image.
    """
    _check_caption_ids(image_of_caption)
    images = set(image_of_caption.values())
    of_captions, of_images = _read_lists("eccv_caption_to_image"), _read_lists("eccv_image_to_caption")
    positives: dict[int, set[int]] = {caption: set() for caption in image_of_caption}
    # Where a caption and an image were both judged, the two lists agree, so that their union changes neither.
    pairs = [(caption, image) for caption, listed in of_captions for image in listed]
    for caption, image in pairs + [(caption, image) for image, listed in of_images for caption in listed]:
        if caption in positives and image in images:
            positives[caption].add(image)
    return positives, {caption for caption, _ in of_captions}, {image for image, _ in of_images}


def _check_caption_ids(image_of_caption: Mapping[int, int]) -> None:
    """Check the ids against the package: with foreign ids, a split would silently have no extended positives."""
    package_images = {caption: images[0] for caption, images in _read_lists("original_caption_to_image")}
    for caption, image in image_of_caption.items():
        if package_images.get(caption) != image:
            raise OvertopError(
                f"{_PACKAGE} has no caption {caption} of image {image}, so `extended` is not available: it needs "
                "COCO's Karpathy test split with COCO's ids; correct the annotations or remove `extended`"
            )


def _read_lists(name: str) -> list[tuple[int, list[int]]]:
    """The ids of one of the package's JSON files, read without importing the package, which would run its metrics."""
    try:
        path = distribution(_PACKAGE).locate_file(f"{_PACKAGE}/data/{name}.json")
    except PackageNotFoundError:
        raise OvertopError(
            f"`extended` needs the judgments in the package {_PACKAGE}: pip install {_PACKAGE}==0.1.0"
        ) from None
    with open(str(path), encoding="utf-8") as handle:
        return [(int(key), listed) for key, listed in json.load(handle).items()]
