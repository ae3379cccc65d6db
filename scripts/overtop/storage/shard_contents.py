"""What the arrays of a shard must be: other programs write shards as well."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from overtop.errors import OvertopError
from overtop.storage.arrays import decode_strings
from overtop.storage.foreign import report_damage
from overtop.storage.numpy_files import check_real


def check_contents(path: str | Path, arrays: Mapping[str, np.ndarray | h5py.Dataset]) -> None:
    """Check the arrays of a shard, or the same in an open file.

    Raises:
        OvertopError: `embedding` (S, n, D), `item_id` (n,) or `valid` (n,) is missing or something else.
    """
    with report_damage(path, "write it as docs/own-data.md describes", "has no embedding, item_id and valid"):
        embedding, item_ids, valid = (arrays[name] for name in ("embedding", "item_id", "valid"))
        n_items = len(decode_strings(item_ids))
    if embedding.ndim != 3 or valid.dtype != bool or not embedding.shape[1:2] == valid.shape == (n_items,):
        raise OvertopError(
            f"{path}: embedding {embedding.shape}, item_id {item_ids.shape} and valid {valid.shape}, {valid.dtype}, "
            "must be (S, n, D), (n,) and (n,) bool; write it again"
        )
    check_real(path, embedding)
