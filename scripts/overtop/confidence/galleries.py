"""Galleries and embeddings of the Python API: arrays, files or sources become sources and prepared galleries."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from overtop.confidence.model import TOPK_SOURCE, ConfidenceModel, ModelFacts
from overtop.errors import OvertopError
from overtop.memory import READ_ITEMS, blocks
from overtop.retrieval.gallery_files import FACTS, PreparedGallery, open_gallery
from overtop.retrieval.prepared import prepare_gallery
from overtop.retrieval.ranking import count_groups
from overtop.retrieval.vectors import read_unit_vectors
from overtop.storage.embedding_files import open_embeddings
from overtop.storage.shards import ArraySource, EmbeddingSource
from overtop.terms import BANK_ESTIMATORS, SOFTMAX_TEMPERATURE


def open_source(role: str, embeddings: Any, ids: Sequence[Any] | None = None) -> EmbeddingSource:
    """Return a source of embeddings that are given as an array, a file or folder (`open_embeddings`), or a source.

    Args:
        role: what they are, for messages.
        embeddings: (n, D), one item (D,), or (S, n, D) for S samples; a path; or an `EmbeddingSource`.
        ids: n names of the items of an array or a file; by default the row numbers.

    Raises:
        OvertopError: there is none, the array is not one of numbers, or the names do not match.
    """
    if isinstance(embeddings, str | Path):
        return open_embeddings(embeddings, ids=None if ids is None else [str(name) for name in ids])
    if hasattr(embeddings, "item_ids"):
        if ids is not None:
            raise OvertopError(f"{role}: has names already; give no ids with an embedding source")
        source: EmbeddingSource = embeddings
        return source
    array = np.asarray(embeddings)
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2, 3):
        raise OvertopError(
            f"{role}: is an array of {array.dtype} with shape {array.shape}; give numbers of shape (n, D), (D,) for "
            "one item, or (S, n, D) for S samples"
        )
    array = array[None] if array.ndim == 1 else array
    samples = list(array) if array.ndim == 3 else [array]
    if not samples or not samples[0].size:
        raise OvertopError(f"{role}: is empty (shape {np.shape(embeddings)}); give at least one embedding")
    if ids is not None and len(ids) != len(samples[0]):
        raise OvertopError(f"{role}: has {len(samples[0])} embeddings, but {len(ids)} ids; give one of each")
    return ArraySource(samples, None if ids is None else [str(name) for name in ids])


def open_any_gallery(
    gallery: Any,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    ids: Sequence[Any] | None = None,
    bank: Any = None,
    temperature: float | None = None,
    encoder: str | None = None,
) -> PreparedGallery:
    """Return a prepared gallery: the given one, the one in a folder, or one in memory of the given embeddings.

    Args:
        gallery: a `PreparedGallery`, the folder of one, or embeddings (`open_source`).
        groups: (N,) group of each item, for embeddings.
        ids: N names, for embeddings.
        bank: unlabelled queries, for embeddings.
        temperature: T of the softmax; by default that of a prepared gallery, or 0.01.
        encoder: label of the encoder; must be that of a prepared gallery.

    Raises:
        OvertopError: an argument belongs to embeddings and contradicts the prepared gallery, or the embeddings cannot
            be ranked.
    """
    if isinstance(gallery, str | Path) and (Path(gallery) / FACTS).is_file():
        gallery = open_gallery(gallery)
    if not isinstance(gallery, PreparedGallery):
        source = open_source("gallery", gallery, ids)
        bank_source = None if bank is None else open_source("bank", bank)
        if bank_source is not None:
            _check_embeddings("bank", bank_source)
        temperature = SOFTMAX_TEMPERATURE if temperature is None else temperature
        with place("gallery"):
            return prepare_gallery(source, groups=groups, bank=bank_source, temperature=temperature, encoder=encoder)
    given = {"groups": groups, "ids": ids, "bank": bank}
    if contradicting := [name for name, value in given.items() if value is not None]:
        raise OvertopError(f"gallery: is prepared already; give {contradicting[0]} when it is prepared, not here")
    check_encoder(encoder, gallery.encoder)
    if temperature is None or temperature == gallery.temperature:
        return gallery
    if gallery.normalisation is not None:
        raise OvertopError(
            f"gallery: was prepared with a bank at temperature {gallery.temperature:g}, but {temperature:g} is needed; "
            "prepare it again with this temperature"
        )
    return replace(gallery, temperature=temperature)


def check_encoder(first: str | None, second: str | None) -> None:
    """Check that two labels of encoders are the same; None is unknown and equals any.

    Raises:
        OvertopError: they differ.
    """
    if first is not None and second is not None and first != second:
        raise OvertopError(
            f"the embeddings are of encoder {second!r}, but {first!r} is needed; similarities of different encoders "
            "cannot be compared: embed the gallery again, or fit the model again"
        )


def gallery_facts(gallery: PreparedGallery) -> ModelFacts:
    """Return what a confidence model has to know of its gallery."""
    return ModelFacts(
        gallery_size=gallery.n_items,
        gallery_fingerprint=gallery.fingerprint,
        gallery_groups=count_groups(gallery.items.groups),
        encoder=gallery.encoder,
        dims=gallery.dims,
        bank=None if gallery.bank is None else dict(gallery.bank),
        temperature=gallery.temperature,
    )


def check_model_fits_gallery(path: str, model: ConfidenceModel, gallery: PreparedGallery) -> None:
    """Check that a model can be used with a gallery.

    Raises:
        OvertopError: the encoder, the bank or the groups differ, or the model was fitted without a gallery.
    """
    facts, present = model.facts, gallery_facts(gallery)
    if facts.provenance.get("source") == TOPK_SOURCE:
        raise OvertopError(f"{path}: was fitted to the lists of a search engine; use overtop.load_topk")
    check_encoder(facts.encoder, present.encoder)
    if facts.dims and facts.dims != present.dims:
        raise OvertopError(
            f"{path}: was fitted with embeddings of dimensions {facts.dims}, the gallery has {present.dims}; use the "
            "same encoder"
        )
    if model.estimator in BANK_ESTIMATORS:
        fitted, given = ((bank or {}).get("fingerprint") for bank in (facts.bank, present.bank))
        if given is None or (fitted is not None and fitted != given):
            problem = "there is none" if given is None else "this is another one"
            raise OvertopError(
                f"{path}: {model.estimator} needs the bank that the model was fitted with, and {problem}; give the "
                "same queries as `bank`, or a gallery that was prepared with them"
            )
    same_items = facts.gallery_fingerprint is not None and facts.gallery_fingerprint == present.gallery_fingerprint
    if same_items and facts.gallery_groups not in (None, present.gallery_groups):
        raise OvertopError(
            f"{path}: was fitted with {facts.gallery_groups} groups of gallery items, now there are "
            f"{present.gallery_groups}; give the same `groups`"
        )


@contextmanager
def place(role: str) -> Iterator[None]:
    """Put the argument that an error is about in front of its message."""
    try:
        yield
    except OvertopError as error:
        raise OvertopError(f"{role}: {error}") from error


def _check_embeddings(role: str, source: EmbeddingSource) -> None:
    """Check that all embeddings have a direction, where a later error would not tell whose they are."""
    with place(role):
        for sample in range(source.n_samples):
            for part in blocks(source.n_items, 1, READ_ITEMS):
                read_unit_vectors(source, sample, part, "cpu")
