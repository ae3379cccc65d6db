"""The file of one slice of a gallery: what a ranking pass accumulated in some of its chunks."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from overtop.errors import OvertopError
from overtop.progress import Progress, no_progress
from overtop.retrieval.ranking_pass import Accumulators, RankingPass
from overtop.storage.arrays import read_arrays, write_arrays
from overtop.storage.digests import REBUILD
from overtop.storage.shards import shard_slice

SCHEMA = "slice/1"


def slice_chunks(chunks: int, number: int, slices: int) -> range:
    """Return the chunks of one slice; none if there are fewer chunks than slices."""
    part = shard_slice(chunks, number, slices)
    return range(part.start, part.stop)


def write_slice(
    path: str | Path,
    passes: Sequence[RankingPass],
    number: int,
    slices: int,
    attributes: Mapping[str, Any],
    progress: Progress = no_progress,
) -> None:
    """Accumulate one slice of the gallery and write it.

    Args:
        path: the file.
        passes: the passes of the ranking, each of other directions.
        number: number of the slice.
        slices: number of all slices.
        attributes: provenance of the ranking.
        progress: see `RankingPass.accumulate`.
    """
    arrays: dict[str, np.ndarray] = {}

    def keep(chunk: int, accumulators: Accumulators) -> None:
        for direction, accumulator in accumulators.items():
            for name, values in accumulator.tensors().items():
                arrays[f"{direction}/{chunk}/{name}"] = values.cpu().numpy()

    for ranking_pass in passes:
        ranking_pass.accumulate(slice_chunks(len(ranking_pass.chunks), number, slices), keep, progress)
    write_arrays(path, SCHEMA, arrays, _header(passes[0], number, slices, attributes))


def read_slices(
    paths: Sequence[str | Path], ranking_pass: RankingPass, attributes: Mapping[str, Any]
) -> Iterator[Accumulators]:
    """Yield what was accumulated in each chunk of a pass; one slice is in memory at a time.

    Args:
        paths: the slices in their order.
        ranking_pass: the pass.
        attributes: as given to `write_slice`.

    Raises:
        OvertopError: a slice is missing, damaged, or of another ranking.
    """
    for number, path in enumerate(paths):
        arrays, found = read_arrays(path, SCHEMA)
        if found != _header(ranking_pass, number, len(paths), attributes):
            raise OvertopError(f"{path}: is not slice {number} of {len(paths)} of this ranking; {REBUILD}")
        for chunk in slice_chunks(len(ranking_pass.chunks), number, len(paths)):
            accumulators = ranking_pass.accumulators(chunk)
            for direction, accumulator in accumulators.items():
                for name, values in accumulator.tensors().items():
                    values.copy_(torch.from_numpy(arrays[f"{direction}/{chunk}/{name}"]))
            yield accumulators


def _header(ranking_pass: RankingPass, number: int, slices: int, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the file of a slice says about itself, as JSON returns it."""
    contents = ranking_pass.contents._asdict()
    facts = {"slice": number, "slices": slices, "contents": contents, **attributes}
    header: dict[str, Any] = json.loads(json.dumps(facts))
    return header
