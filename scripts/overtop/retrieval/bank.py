"""Offsets of gallery items from a bank of unlabelled queries: how similar an item is to queries in general.

The bank of a direction is of the modality of its queries: captions for `t2i`, images for `i2t`. Its queries are ranked
for every gallery item by the exact pass, in blocks, with the roles of query and gallery swapped. With s(b, j) the
similarity of bank query b to item j, the offsets are

    bank_softmax    o_j = T/2 log sum_b exp(s(b, j) / T)           (QB-Norm, Bogolin et al. 2022, has T for T/2)
    bank_nnn        o_j = 0.75 x mean of the 16 largest s(b, j)    (NNN, Chowdhury et al. 2024)

A larger bank of the same kind adds the same constant to all `bank_softmax` offsets, which the softmax over the gallery
cancels. No label is used.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np

from overtop.errors import OvertopError
from overtop.memory import READ_ITEMS
from overtop.retrieval.accumulator import RankingContents
from overtop.retrieval.duplicates import DistinctItems
from overtop.retrieval.groups import GroupedItems
from overtop.retrieval.normalisation import Normalisation
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.ranking_pass import RankingPass
from overtop.retrieval.sources import SelectedItems, check_sources
from overtop.seeds import derive_seed
from overtop.storage.shards import EmbeddingSource, ShardSource
from overtop.terms import IMPORTED, Direction

NEAREST = 16
"""k of `bank_nnn`: largest similarities that are averaged; all of a smaller bank."""

SHRINKAGE = 0.75
"""alpha of `bank_nnn`."""

_SWAPPED: dict[Direction, Direction] = {"t2i": "i2t", "i2t": "t2i"}

SAME_EMBEDDING = 1e-3
"""Relative difference up to which two embeddings are taken for embeddings of the same item."""


def draw_queries(source: EmbeddingSource, size: int | None, seed: int) -> SelectedItems:
    """Draw items of a source without replacement.

    Args:
        source: the items of one modality of the bank's split.
        size: how many to draw; all of them if None or if there are fewer.
        seed: of the draw, which depends on the names of the items but not on their order.
    """
    order = np.argsort(np.array(source.item_ids), kind="stable")
    drawn = np.random.default_rng(derive_seed(seed, "bank")).permutation(len(order))[:size]
    return SelectedItems(source, np.sort(order[drawn]))


def compute_normalisations(
    images: EmbeddingSource,
    texts: EmbeddingSource,
    bank_images: EmbeddingSource,
    bank_texts: EmbeddingSource,
    temperatures: Mapping[Direction, float],
    *,
    device: str | None = None,
) -> dict[Direction, Normalisation]:
    """Return the offsets of the gallery of each direction: of images by the bank's texts, and of texts by its images.

    Args:
        images: N images, S samples; the gallery of `t2i`.
        texts: M texts, S samples; the gallery of `i2t`.
        bank_images: unlabelled images, S samples of the same posterior.
        bank_texts: unlabelled texts, S samples of the same posterior.
        temperatures: T of the softmax, by requested direction.
        device: torch device; by default the GPU if there is one.

    Raises:
        OvertopError: the bank is empty, or differs from the gallery in samples or dimensions.

    Example:
        >>> from overtop.storage.shards import ArraySource
        >>> images, texts, bank = (ArraySource([np.array(rows)]) for rows in ([[1, 0], [0, 1]], [[1, 0]], [[0.6, 0.8]]))
        >>> offsets = compute_normalisations(images, texts, bank, bank, {"t2i": 0.01, "i2t": 0.01})["t2i"].offsets
        >>> offsets["bank_nnn"].astype(float).round(2).tolist()
        [0.45, 0.6]
    """
    for modality, source in (("images", bank_images), ("texts", bank_texts)):
        if not source.n_items:
            raise OvertopError(f"the bank has no {modality}; take it from a split with queries, or set `bank: null`")
    pairs: dict[Direction, tuple[EmbeddingSource, EmbeddingSource]] = {
        "t2i": (images, bank_texts),
        "i2t": (bank_images, texts),
    }
    normalisations = {}
    for direction, temperature in temperatures.items():
        check_sources(*pairs[direction])
        side_images, side_texts = (GroupedItems(DistinctItems.find(source)) for source in pairs[direction])
        normalisations[direction] = normalise_items(direction, side_images, side_texts, temperature, device=device)
    return normalisations


def normalise_items(
    direction: Direction, images: GroupedItems, texts: GroupedItems, temperature: float, *, device: str | None = None
) -> Normalisation:
    """Return the offsets of the gallery of one direction: of the images by texts of a bank for `t2i`, or the reverse.

    Args:
        direction: of the retrieval in which the offsets are used.
        images: the gallery of `t2i`, or the bank of `i2t`.
        texts: the bank of `t2i`, or the gallery of `i2t`.
        temperature: T of the softmax.
        device: torch device; by default the GPU if there is one.
    """
    swapped, contents = _SWAPPED[direction], RankingContents(NEAREST, 1, (temperature,), rivals=False)
    rankings = RankingPass(images, texts, contents, normalisations={}, directions=[swapped], device=device).rank()
    return Normalisation(temperature, item_offsets(rankings[swapped], temperature))


def item_offsets(ranking: Ranking, temperature: float) -> dict[str, np.ndarray]:
    """Return the offsets of N gallery items, float32 (N,), by name.

    Args:
        ranking: of the bank's queries for each gallery item, with at least the best `NEAREST` of them.
        temperature: T, one of the ranking's.
    """
    scores = ranking.top_scores.astype(np.float64)
    log_partition = ranking.softmax_at(temperature, "published").log_partition  # over all bank queries, not groups
    offsets = {
        "bank_softmax": (scores[:, 0] + temperature * log_partition) / 2,
        "bank_nnn": SHRINKAGE * scores[:, :NEAREST].mean(axis=1),
    }
    return {name: values.astype(np.float32) for name, values in offsets.items()}


def check_bank(bank: Sequence[ShardSource], evaluated: Sequence[ShardSource]) -> None:
    """Check that no evaluated query is in the bank and that both were embedded alike.

    Names identify the items of a data set. Imported embeddings may be named by their row, and other data sets may use
    the same names; then two items are the same if their embeddings are as well.

    Args:
        bank: images and texts of the bank; those that are queries in some direction.
        evaluated: the same of the evaluated split.

    Raises:
        OvertopError: with the first query that is in both, or what differs.
    """
    for bank_source, source in zip(bank, evaluated, strict=True):
        _check_same_encoders(bank_source, source)
        names = sorted(set(bank_source.item_ids) & set(source.item_ids))
        if not _names_identify_items(bank_source, source):
            names = _with_same_embedding(names, bank_source, source)
        if names:
            raise OvertopError(
                f"query {names[0]!r} is evaluated and in the bank ({len(names)} such queries); "
                "take the bank from a split without the evaluated queries"
            )


def _check_same_encoders(bank: ShardSource, evaluated: ShardSource) -> None:
    for bank_group, group in zip(bank.provenance, evaluated.provenance, strict=True):
        for key in ("encoder", "sampling"):
            if bank_group.get(key) != group.get(key):
                raise OvertopError(
                    f"the bank and the evaluated split were embedded with another {key} "
                    f"({bank_group.get(key)!r} and {group.get(key)!r}); delete the older shards and run again"
                )


def _names_identify_items(bank: ShardSource, evaluated: ShardSource) -> bool:
    first, second = bank.provenance[0], evaluated.provenance[0]
    return first["dataset"] == second["dataset"] and first["encoder"]["name"] != IMPORTED


def _with_same_embedding(names: list[str], bank: ShardSource, evaluated: ShardSource) -> list[str]:
    """Those of the names whose items have the same embedding in both sources, in the first sample."""
    same = []
    for block in range(0, len(names), READ_ITEMS):
        part = names[block : block + READ_ITEMS]
        first, second = (_read_items(source, part) for source in (bank, evaluated))
        distance, length = np.linalg.norm(first - second, axis=1), np.linalg.norm(second, axis=1)
        same += [part[row] for row in np.flatnonzero(distance <= SAME_EMBEDDING * length)]
    return same


def _read_items(source: ShardSource, names: list[str]) -> np.ndarray:
    """The embeddings of items by name, in the first sample."""
    position = {name: row for row, name in enumerate(source.item_ids)}
    rows = np.array([position[name] for name in names])
    return source.read(0, int(rows.min()), int(rows.max()) + 1)[rows - rows.min()]


def bank_fingerprint(spec: Mapping[str, object], queries: Sequence[EmbeddingSource], provenance: object) -> str:
    """Return a short digest of everything that defines a bank.

    Args:
        spec: data set, split, size and seed.
        queries: the drawn images and texts.
        provenance: of their embeddings.
    """
    content = json.dumps([dict(spec), [source.item_ids for source in queries], provenance], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]
