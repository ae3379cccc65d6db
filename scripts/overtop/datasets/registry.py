"""The kinds of data sets, and how a split of any kind is fetched and read.

A kind is one module with these functions, and one line in `KINDS`:

- `check(name, spec, split, context)` checks that the source exists and has the split; kinds that are generated have
  none;
- `fetch(name, spec, split, raw, context)` writes all files of one split into the folder `raw`;
- `read(name, spec, raw, split)` returns that split as a `Split`, with image paths relative to `raw`.

The raw folder of a split is `data/raw/DATASET/SPLIT`. A split that is held out has the files of the split that it is
drawn from, as has the rest of that split (`overtop.datasets.held_out`). Data sets of classes fetch only the images of
each part. `overtop.datasets.source_records` records the files of a split, and `overtop.datasets.restore` verifies them,
and fetches them again.
"""

import logging
from dataclasses import replace
from pathlib import Path

from overtop.config.dataset_base import ClassCounts, Counts
from overtop.config.datasets import ClassesDataset, KarpathyDataset, ShapesDataset, StoredDatasetSpec, TableDataset
from overtop.datasets import classes, embeddings, huggingface, images, karpathy, shapes, table, texts
from overtop.datasets.held_out import find_part, read_part, select_items, write_part
from overtop.datasets.raw import FetchContext, claim_folder, name_original, resolve_source
from overtop.errors import OvertopError
from overtop.storage.files import resolve_inside
from overtop.storage.foreign_tables import column_names
from overtop.storage.split import Split

KINDS = {
    "shapes": shapes,
    "karpathy": karpathy,
    "table": table,
    "huggingface": huggingface,
    "embeddings": embeddings,
    "classes": classes,
    "images": images,
    "texts": texts,
}
"""The module of each kind of data set."""

logger = logging.getLogger(__name__)


def fetch_split(name: str, spec: StoredDatasetSpec, split: str, raw: Path, context: FetchContext) -> None:
    """Write all files of one split into its raw folder.

    Args:
        name: name of the data set.
        spec: its entry in config.yaml.
        split: name of the split.
        raw: the raw folder of the split; if it exists, an earlier fetch must have made it.
        context: settings of the run.

    Raises:
        OvertopError: the split does not exist, or its files cannot be fetched.
    """
    claim_folder(raw)
    part = None if isinstance(spec, ClassesDataset) else find_part(spec.held_out_splits(), split)
    KINDS[spec.kind].fetch(name, spec, split if part is None else part.of, raw, context)
    if part is not None:
        write_part(raw, part)


def check_source(name: str, spec: StoredDatasetSpec, split: str, context: FetchContext) -> None:
    """Check what can be told of the source of a split before it is fetched.

    Args:
        name, spec, split, context: as for `fetch_split`.

    Raises:
        OvertopError: the source or the split does not exist.
    """
    if (check := getattr(KINDS[spec.kind], "check", None)) is None:
        return
    part = None if isinstance(spec, ClassesDataset) else find_part(spec.held_out_splits(), split)
    check(name, spec, split if part is None else part.of, context)


def has_extended(name: str, spec: StoredDatasetSpec, context: FetchContext) -> bool:
    """Whether a data set may have extended positives, as far as its entry and the columns of its table tell.

    Raises:
        OvertopError: its table cannot be read.
    """
    match spec:
        case TableDataset():
            folder = resolve_source(f"datasets.{name}.source", spec.source, context.mirror)
            return "positives" in column_names(folder / spec.table)
        case KarpathyDataset():
            return bool(spec.extended)
    return isinstance(spec, ShapesDataset)


def read_raw_split(name: str, spec: StoredDatasetSpec, raw: Path, data: Path, split: str) -> Split:
    """Read a split from its raw folder and verify it.

    Args:
        name: name of the data set.
        spec: its entry in config.yaml.
        raw: the raw folder of the split, inside `data`.
        data: the folder that image paths of the result are relative to.
        split: name of the split.

    Raises:
        OvertopError: the files are not a valid split, an image is missing or outside the folder, or the counts differ
            from the declared ones.
    """
    try:
        part = read_part(raw)
        result: Split = KINDS[spec.kind].read(name, spec, raw, split if part is None else part.of)
        _check_not_empty(result, raw)
        if part is not None:
            result = result.select(*select_items(result, part, raw))
        _check_images_exist(result, raw)
        if split in spec.expect:
            _check_counts(result, spec.expect[split], f"datasets.{name}.expect.{split}")
    except OvertopError as error:
        raise OvertopError(f"data set {name!r}, split {split!r}: {name_original(str(error), raw)}") from error
    _log_unpaired(result, f"data set {name!r}, split {split!r}")
    _warn_of_one_image(result, f"data set {name!r}, split {split!r}")
    prefix = raw.relative_to(data)
    return replace(result, image_paths=[str(prefix / path) if path else "" for path in result.image_paths])


def _check_not_empty(split: Split, raw: Path) -> None:
    if not split.captions and not split.image_ids:
        raise OvertopError(f"{raw} has no images or captions of this split; check the name of the split")


def _log_unpaired(split: Split, place: str) -> None:
    """Log how many items have no known match."""
    has_both = split.image_ids and split.captions and not split.is_classes
    if has_both and not (split.has_caption.all() and split.has_image.all()):
        logger.info(
            "%s: %d of %d images have no caption, and the image of %d of %d captions is unknown",
            place,
            (~split.has_caption).sum(),
            len(split.image_ids),
            (~split.has_image).sum(),
            len(split.captions),
        )


def _warn_of_one_image(split: Split, place: str) -> None:
    """Log that recall means nothing in a gallery of one item."""
    if len(split.image_ids) == 1 and split.captions and not split.is_classes:
        logger.warning("%s: has one image, which is the top hit of every query: its recall means nothing", place)


def _check_images_exist(split: Split, raw: Path) -> None:
    for path in filter(None, split.image_paths):
        if not resolve_inside(raw, path).is_file():
            raise OvertopError(f"image {raw / path} is missing; fetch again or remove its captions")


def _check_counts(split: Split, declared: Counts | ClassCounts, key: str) -> None:
    n_images, n_texts = len(split.image_ids), len(split.captions)
    noun, expected = (
        ("classes", declared.classes) if isinstance(declared, ClassCounts) else ("captions", declared.captions)
    )
    if (n_images, n_texts) != (declared.images, expected):
        raise OvertopError(
            f"has {n_images} images and {n_texts} {noun}, but {key} declares {declared.images} and {expected}; correct "
            "the source or the declaration"
        )
