from typing import get_args

import pytest

from overtop.config.datasets import ShapesDataset, StoredDatasetSpec
from overtop.datasets.raw import FetchContext
from overtop.datasets.registry import KINDS, fetch_split, read_raw_split
from overtop.errors import OvertopError


def _fetch_shapes(tmp_path, **keys):
    spec = ShapesDataset(kind="shapes", images={"test": 3}, image_size=16, **keys)
    raw = tmp_path / "raw" / "tiny" / "test"
    fetch_split("tiny", spec, "test", raw, FetchContext(None, 0, tmp_path, {}))
    return spec, raw


def test_every_configurable_kind_has_a_module_with_fetch_and_read():
    union, _ = get_args(StoredDatasetSpec)
    kinds = {get_args(spec.model_fields["kind"].annotation)[0] for spec in get_args(union)}
    assert set(KINDS) == kinds
    assert all(callable(module.fetch) and callable(module.read) for module in KINDS.values())


def test_image_paths_of_split_are_relative_to_data_folder(tmp_path):
    spec, raw = _fetch_shapes(tmp_path)
    split = read_raw_split("tiny", spec, raw, tmp_path, "test")
    assert split.image_paths == [f"raw/tiny/test/test-{number:05d}.png" for number in range(3)]


def test_missing_image_is_one_line_error(tmp_path):
    spec, raw = _fetch_shapes(tmp_path)
    (raw / "test-00001.png").unlink()
    with pytest.raises(OvertopError, match=r"^data set 'tiny', split 'test': image .*test-00001\.png is missing"):
        read_raw_split("tiny", spec, raw, tmp_path, "test")


def test_split_without_captions_is_one_line_error(tmp_path):
    spec, raw = _fetch_shapes(tmp_path)
    with pytest.raises(OvertopError, match="split 'val': .*has no images or captions of this split"):
        read_raw_split("tiny", spec, raw, tmp_path, "val")
