"""Galleries that are prepared once, and the ranking of new queries against them.

`rank` hashes and normalises both sides at every call. Where one gallery answers many queries, `prepare_gallery` does so
once: it stores the unit vectors of the distinct items, which are memory-mapped, and what is known of the items.
`retrieval.gallery_files` describes the folder.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from overtop.errors import OvertopError
from overtop.memory import READ_ITEMS, blocks
from overtop.progress import Progress, no_progress
from overtop.retrieval.accumulator import RankingContents
from overtop.retrieval.bank import normalise_items
from overtop.retrieval.duplicates import DistinctItems
from overtop.retrieval.exact import sort_temperatures
from overtop.retrieval.gallery_files import FACTS, PreparedGallery, open_gallery, write_facts
from overtop.retrieval.groups import GroupedItems
from overtop.retrieval.normalisation import Normalisation
from overtop.retrieval.ranking import Ranking
from overtop.retrieval.ranking_pass import RankingPass
from overtop.retrieval.unit_files import SAMPLE, write_sample
from overtop.retrieval.vectors import UnitSource, read_unit_vectors
from overtop.storage.files import atomic_folder
from overtop.storage.shards import EmbeddingSource
from overtop.terms import SOFTMAX_TEMPERATURE, VOTE_TOP, Direction

FINGERPRINT_DIGITS = 16
"""Length of a fingerprint."""


def prepare_gallery(
    source: EmbeddingSource,
    folder: str | Path | None = None,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    bank: EmbeddingSource | None = None,
    bank_facts: Mapping[str, Any] | None = None,
    temperature: float = SOFTMAX_TEMPERATURE,
    encoder: str | None = None,
    device: str | None = None,
) -> PreparedGallery:
    """Prepare a gallery: find its duplicates, normalise it, and compute the offsets of its items from a bank.

    The folder is written whole or not at all.

    Args:
        source: the N items, S samples, un-normalised.
        folder: where to store the gallery; an earlier gallery there is replaced. None: keep it in memory.
        groups: (N,) group of each item; items of a group must follow each other. By default only exact duplicates
            belong together.
        bank: unlabelled queries of the same encoder, for the bank estimators.
        bank_facts: further facts of the bank to store, values that JSON can represent.
        temperature: T of the softmax over the normalised similarities.
        encoder: label of the encoder, to be compared with that of a confidence model.
        device: torch device of the ranking of the bank; by default the GPU if there is one.

    Raises:
        OvertopError: the gallery or the bank is empty, an embedding is zero or not finite, gallery and bank differ in
            samples or dimensions, the groups do not match the items, or the folder contains something else.

    Example:
        >>> from overtop.storage.shards import ArraySource
        >>> gallery = prepare_gallery(ArraySource([np.array([[3.0, 0.0], [0.0, 2.0]])], ["cat", "dog"]))
        >>> ranking = rank_queries(gallery, ArraySource([np.array([[0.1, 5.0]])]), top=1, temperatures=[0.01])
        >>> [gallery.item_ids[row] for row in ranking.top_ids[:, 0]]
        ['dog']
    """
    if not source.n_items:
        raise OvertopError("the gallery is empty; give at least one item")
    (temperature,) = sort_temperatures([temperature])
    settings = _Settings(groups, bank, bank_facts or {}, temperature, encoder, device)
    distinct = DistinctItems.find(source)
    fingerprint = fingerprint_embeddings(source)
    if folder is None:
        samples = [np.concatenate(list(_unit_blocks(distinct.source, s))) for s in range(source.n_samples)]
        return _complete(distinct, samples, fingerprint, settings)
    folder = Path(folder)
    if folder.exists() and not (folder / FACTS).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise OvertopError(f"{folder}: exists and is not a prepared gallery; choose another folder, or remove it")
    with atomic_folder(folder) as temporary:
        samples = [
            write_sample(temporary / SAMPLE.format(s), (distinct.source.n_items, dim), _unit_blocks(distinct.source, s))
            for s, dim in enumerate(source.dims)
        ]
        write_facts(temporary, _complete(distinct, samples, fingerprint, settings))
    return open_gallery(folder)


def fingerprint_embeddings(source: EmbeddingSource) -> str:
    """Return a hex digest of all embeddings as they are read, float32, and of the names of the items."""
    digest = hashlib.sha256(json.dumps([source.item_ids, list(source.dims)]).encode())
    for sample in range(source.n_samples):
        for part in blocks(source.n_items, 1, READ_ITEMS):
            digest.update(np.ascontiguousarray(source.read(sample, part.start, part.stop)).data)
    return digest.hexdigest()[:FINGERPRINT_DIGITS]


def describe_bank(bank: EmbeddingSource, **facts: Any) -> dict[str, Any]:
    """Return the facts of a bank that are stored with a gallery: its size and fingerprint, and what the caller adds."""
    return {"size": bank.n_items, "fingerprint": fingerprint_embeddings(bank), **facts}


class _Settings(NamedTuple):
    """Arguments of `prepare_gallery`."""

    groups: Sequence[Any] | np.ndarray | None
    bank: EmbeddingSource | None
    bank_facts: Mapping[str, Any]
    temperature: float
    encoder: str | None
    device: str | None


def _unit_blocks(source: EmbeddingSource, sample: int) -> Iterator[np.ndarray]:
    """The unit vectors of one sample, block by block; on the CPU, so that they are the same on all machines."""
    for part in blocks(source.n_items, 1, READ_ITEMS):
        yield read_unit_vectors(source, sample, part, "cpu", torch.float32).numpy()


def _complete(
    distinct: DistinctItems, samples: Sequence[np.ndarray], fingerprint: str, settings: _Settings
) -> PreparedGallery:
    """Return a gallery from the unit vectors (n, D) of its distinct items in each sample."""
    units = UnitSource(samples, distinct.source.item_ids)
    declared = None if settings.groups is None else np.asarray(settings.groups)
    if declared is not None and declared.shape != distinct.first.shape:
        raise OvertopError(f"the gallery has {len(distinct.first)} items, its groups have shape {declared.shape}")
    items = GroupedItems(DistinctItems(units, distinct.item_ids, distinct.first), declared)
    if settings.bank is None:
        return PreparedGallery(items, fingerprint, settings.encoder, temperature=settings.temperature)
    if not settings.bank.n_items:
        raise OvertopError("the bank is empty; give unlabelled queries, or no bank")
    _check_dims("the bank has", settings.bank, units.dims)
    bank = GroupedItems(DistinctItems.find(settings.bank))
    normalisation = normalise_items("t2i", items, bank, settings.temperature, device=settings.device)
    facts = describe_bank(settings.bank, **settings.bank_facts)
    return PreparedGallery(items, fingerprint, settings.encoder, facts, settings.temperature, normalisation)


def _check_dims(subject: str, source: EmbeddingSource, dims: tuple[int, ...]) -> None:
    if source.dims != dims:
        raise OvertopError(
            f"{subject} samples of dimensions {source.dims}, the gallery {dims}; "
            "both must come from the same encoders and the same number of passes"
        )


def rank_queries(
    gallery: PreparedGallery,
    queries: EmbeddingSource,
    top: int,
    temperatures: Iterable[float] = (),
    *,
    normalisations: Collection[str] | None = None,
    rivals: bool = True,
    device: str | None = None,
    progress: Progress = no_progress,
) -> Ranking:
    """Rank a prepared gallery for new queries, by the pass of `rank`: the results are the same.

    Args:
        gallery: the gallery.
        queries: Q queries, of the same samples and dimensions as the gallery.
        top: number of best items by mean similarity (at most the size of the gallery).
        temperatures: temperatures of the softmax over the gallery.
        normalisations: names of the normalisations to compute; by default all that the gallery has offsets for.
        rivals: whether to find the best items of other groups than that of the top-1, which the estimators of margins
            need. Where the best items of a query are of few groups, that takes another product with the gallery.
        device: torch device; by default the GPU if there is one.
        progress: called after each block of queries with the queries done and their total.

    Raises:
        OvertopError: queries and gallery differ in samples or dimensions, there are no queries, an embedding is zero or
            not finite, or a temperature is not positive.
    """
    if not queries.n_items:
        raise OvertopError("there are no queries; give at least one")
    _check_dims("queries have", queries, gallery.dims)
    contents = RankingContents(top, VOTE_TOP, sort_temperatures(temperatures), rivals)
    ranking_pass = RankingPass(
        gallery.items,
        GroupedItems(DistinctItems.find(queries)),
        contents,
        normalisations=_select_normalisations(gallery, normalisations),
        directions=["t2i"],
        device=device,
    )
    return ranking_pass.rank(progress)["t2i"]


def _select_normalisations(gallery: PreparedGallery, names: Collection[str] | None) -> dict[Direction, Normalisation]:
    """Return the offsets of some normalisations, or of all."""
    offsets = {} if gallery.normalisation is None else gallery.normalisation.offsets
    missing = [name for name in names or () if name not in offsets]
    if missing:
        raise OvertopError(f"the gallery has no offsets for {missing[0]}; prepare it with a bank of unlabelled queries")
    selected = {name: values for name, values in offsets.items() if names is None or name in names}
    return {"t2i": Normalisation(gallery.temperature, selected)} if selected else {}
