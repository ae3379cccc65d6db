"""Data sets: how each kind is fetched and read into splits.

A kind is one module with two functions and one line in `KINDS`:

- `fetch(name, spec, split, raw, context)` brings everything that one split needs into the folder `raw`;
- `read(name, spec, raw, split)` returns that split as a `Split`, image paths relative to `raw`.

The raw folder of a split is `data/raw/DATASET/SPLIT`.
"""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

from overtop.config.datasets import DatasetSpec
from overtop.errors import OvertopError
from overtop.storage.files import inside
from overtop.storage.split import Split

KINDS = {
    "shapes": "overtop.datasets.shapes",
    "karpathy": "overtop.datasets.karpathy",
    "table": "overtop.datasets.table",
    "embeddings": "overtop.datasets.embeddings",
}


def module_of(spec: DatasetSpec) -> ModuleType:
    """The module that knows this kind of data set (imported late: some kinds are heavy)."""
    return import_module(KINDS[spec.kind])


def read_checked(name: str, spec: DatasetSpec, raw: Path, data: Path, split: str) -> Split:
    """Read a split and prove it: files exist, nothing leaves the folder, counts are the declared ones.

    Args:
        raw: the split's own folder, inside `data`.
        data: the folder that image paths of the result are relative to.

    Raises:
        OvertopError: what is missing or wrong, with the mend.
    """
    try:
        found = module_of(spec).read(name, spec, raw, split)
    except OvertopError as error:
        raise OvertopError(f"data set {name!r}, split {split!r}: {error}") from error
    if not found.captions:
        raise OvertopError(f"data set {name!r} has no split {split!r}; {raw} holds none of its captions")
    for path in filter(None, found.image_paths):
        if not inside(raw, path).is_file():
            raise OvertopError(f"data set {name!r}: image {raw / path} is missing; fetch again or remove its captions")
    expected = spec.expect.get(split)
    counts = (len(found.image_ids), len(found.captions))
    if expected is not None and counts != (expected.images, expected.captions):
        raise OvertopError(
            f"data set {name!r}, split {split!r}: {counts[0]} images and {counts[1]} captions, but "
            f"datasets.{name}.expect.{split} declares {expected.images} and {expected.captions}; "
            "the source is not the split it is taken for, or the declaration is wrong"
        )
    prefix = raw.relative_to(data)
    return replace(found, image_paths=[str(prefix / path) if path else "" for path in found.image_paths])
