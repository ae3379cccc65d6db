"""The judge of a deployed search: fitted on labelled queries, it says which top hits of new queries to trust."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from overtop.confidence.answering import answer_queries, describe_promise
from overtop.confidence.fitting import fit_model, model_without_labels
from overtop.confidence.galleries import check_model_fits_gallery, gallery_facts, open_any_gallery, open_source
from overtop.confidence.labelling import find_hits
from overtop.confidence.model import ANY_DIRECTION, ConfidenceModel, read_models, write_models
from overtop.confidence.queries import check_disjoint, estimator_names, measure_queries, select_labelled
from overtop.errors import OvertopError
from overtop.progress import Progress, no_progress
from overtop.retrieval.gallery_files import PreparedGallery
from overtop.terms import AUTO


class Judge:
    """Answers new queries against a gallery, and says which answers to trust.

    Made by `overtop.fit` or `overtop.load`.

    Attributes:
        model: the confidence model.
        gallery: the prepared gallery.
        direction: key of the model in its file.
    """

    def __init__(self, model: ConfidenceModel, gallery: PreparedGallery, direction: str = ANY_DIRECTION) -> None:
        self.model, self.gallery, self.direction = model, gallery, direction
        self._is_unnamed = _are_row_numbers(gallery.item_ids)

    def __call__(
        self,
        queries: Any,
        *,
        precision: float | None = None,
        coverage: float | None = None,
        ids: Sequence[Any] | None = None,
        progress: Progress = no_progress,
    ) -> pd.DataFrame:
        """Return one row per query: its top-1, the probability that it is right, and whether to act on it.

        Args:
            queries: embeddings (Q, D), one (D,), (S, Q, D) for S samples, a file or folder of them, or a source; they
                need not be normalised.
            precision: act where this precision is guaranteed; one of those that the judge was fitted for, by default
                the first. A judge without labels acts on nothing.
            coverage: act on this share of the queries instead, the most certain ones; nothing is promised.
            ids: Q names of the queries; by default their row numbers.
            progress: called after each block of queries with the queries done and their total.

        Returns:
            Columns `query`, `top1` (name of the gallery item, or its row if the gallery has no names), `similarity`,
            `uncertainty`, `p_right`, `act`, `warning`.

        Raises:
            OvertopError: queries of other dimensions, an embedding that is zero or not finite, or a precision that the
                judge was not fitted for.

        Warns:
            UserWarning: facts that make all answers doubtful, such as queries unlike the labelled ones.
        """
        source = open_source("queries", queries, ids)
        measured = measure_queries(self.gallery, source, [self.model.estimator], progress=progress)
        answers = answer_queries(
            self.model,
            measured.uncertainty[self.model.estimator],
            measured.similarity,
            measured.ids,
            [self.gallery.item_ids[row] for row in measured.top1],
            precision=precision,
            coverage=coverage,
            gallery_fingerprint=self.gallery.fingerprint,
            tied=measured.tied,
            stacklevel=2,
        )
        if _are_row_numbers(measured.ids):
            answers["query"] = np.arange(len(answers))
        if self._is_unnamed:
            answers["top1"] = measured.top1.astype(np.int64)
        return answers

    def promise(self, precision: float | None = None) -> str:
        """Return one sentence: what is promised of the answers to act on, and under which conditions.

        Args:
            precision: one of those that the judge was fitted for; by default the first.
        """
        return describe_promise(self.model, precision, self.gallery.fingerprint)

    def save(self, path: str | Path) -> None:
        """Write the confidence model to a small JSON file. The gallery is not in it: give it to `overtop.load`."""
        write_models(path, {self.direction: self.model})

    def __repr__(self) -> str:
        model = self.model
        labels = f"{model.n_queries:,} labelled queries" if model.n_queries else "no labels"
        return f"<Judge: {model.estimator}, {model.mapping.kind}, {labels}, gallery of {self.gallery.n_items:,} items>"


def fit(
    gallery: Any,
    queries: Any = None,
    relevant: Any = None,
    *,
    precision: float | Sequence[float] = 0.9,
    confidence: float = 0.95,
    bank: Any = None,
    estimator: str | Sequence[str] | None = None,
    mapping: str = "auto",
    temperature: float | None = None,
    groups: Sequence[Any] | np.ndarray | None = None,
    ids: Sequence[Any] | None = None,
    encoder: str | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Judge:
    """Fit a judge of new queries to labelled ones; without labels it only ranks them by uncertainty.

    Embeddings are arrays (n, D), or (S, n, D) for S samples of a posterior, files (`.npy`, `.npz`, `.h5`, folders of
    parts), or sources; they need not be normalised.

    Args:
        gallery: embeddings of the items that are searched, a prepared gallery or its folder.
        queries: embeddings of labelled queries: a random sample of those to come, one per user or image.
        relevant: for each of them the row of the right gallery item, or its name, or a list of several; -1 or None if
            it was not labelled; [] if it is known that nothing in the gallery matches.
        precision: share of right top-1 to guarantee among the answers that are acted on; several are possible.
        confidence: probability of each guarantee.
        bank: embeddings of other, unlabelled queries of the same kind, 50 or more; they improve the estimator. A
            gallery that is prepared with a bank needs none, and then only you can check that it contains no labelled
            query.
        estimator: of the uncertainty; by default `bank_nnn` with a bank and `max_softmax` without. `auto` or several
            names: the best of them, chosen on a third of the labelled queries.
        mapping: to a probability: `softmax`, `logistic`, `isotonic`, or `auto` for the best by cross-validation.
        temperature: T of the softmax over similarities; by default 0.01, which CLIP was trained to.
        groups: for each gallery item its group. Items of a group (captions of one image) do not compete, and each of
            them is right if one is. Items of a group must follow each other.
        ids: names of the gallery items; by default row numbers.
        encoder: label of the encoder, so that `load` can compare it.
        seed: of all random choices.
        progress: called after each block of queries with the queries done and their total.

    Returns:
        The judge: `judge(new)`, `judge.promise()`, `judge.save(path)`.

    Raises:
        OvertopError: invalid input, with the argument, the problem and the fix in one line.

    Warns:
        UserWarning: there are too few labelled queries to guarantee a precision.

    Example:
        >>> import overtop
        >>> rng = np.random.default_rng(0)
        >>> gallery = rng.normal(size=(300, 64))
        >>> queries = gallery + rng.normal(size=(300, 64)) * rng.uniform(0, 5, size=(300, 1))
        >>> judge = overtop.fit(gallery, queries, np.arange(300), precision=0.9, temperature=0.1)
        >>> judge(gallery[:2] + 0.1)[["query", "top1", "act", "warning"]].values.tolist()
        [[0, 0, True, ''], [1, 1, True, '']]
    """
    prepared = open_any_gallery(gallery, groups=groups, ids=ids, bank=bank, temperature=temperature, encoder=encoder)
    names = estimator_names(estimator, prepared.normalisation is not None)
    facts = gallery_facts(prepared)
    if queries is None and relevant is None:
        if estimator == AUTO or len(names) != 1 or mapping not in ("auto", "softmax"):
            raise OvertopError(
                "without labelled queries no estimator or mapping can be chosen; give queries and relevant, or name "
                "one estimator and no mapping"
            )
        return Judge(model_without_labels(names[0], facts), prepared)
    if queries is None or relevant is None:
        missing = "queries" if queries is None else "relevant"
        raise OvertopError(f"{missing}: is missing; give queries and relevant together, or none of them")
    labelled, rows = select_labelled(queries, relevant, prepared)
    if bank is not None:
        check_disjoint(open_source("bank", bank), labelled)
    measured = measure_queries(prepared, labelled, names, progress=progress)
    model = fit_model(
        measured.uncertainty,
        measured.similarity,
        find_hits(measured.top1, rows, prepared.items.groups),
        precisions=np.atleast_1d(precision).tolist(),
        confidence=confidence,
        mapping=mapping,
        seed=seed,
        facts=facts,
    )
    return Judge(model, prepared)


def load(
    path: str | Path,
    gallery: Any,
    direction: str | None = None,
    *,
    bank: Any = None,
    groups: Sequence[Any] | np.ndarray | None = None,
    ids: Sequence[Any] | None = None,
    encoder: str | None = None,
) -> Judge:
    """Return the judge of a confidence model that `judge.save` or `overtop calibrate` wrote.

    Args:
        path: the JSON file.
        gallery: as in `fit`. With another gallery than the model was fitted with, answers carry no guarantee.
        direction: which model to use if the file has several, such as `t2i` and `i2t`.
        bank: the same bank as in `fit`, if the model needs one and the gallery is not prepared with it.
        groups: as in `fit`.
        ids: as in `fit`.
        encoder: label of the encoder, to be compared with that of the model.

    Raises:
        OvertopError: the file is no confidence model, or the model was fitted with another encoder, bank or groups.
    """
    models = read_models(path)
    if direction is None and len(models) != 1:
        raise OvertopError(f"{path}: has models of {', '.join(models) or 'nothing'}; name one of them as `direction`")
    key = next(iter(models)) if direction is None else direction
    if key not in models:
        raise OvertopError(f"{path}: has no model of direction {key!r}; it has {', '.join(models) or 'none'}")
    model = models[key]
    prepared = open_any_gallery(
        gallery, groups=groups, ids=ids, bank=bank, temperature=model.facts.temperature, encoder=encoder
    )
    check_model_fits_gallery(str(path), model, prepared)
    return Judge(model, replace(prepared, encoder=prepared.encoder or model.facts.encoder), key)


def _are_row_numbers(names: list[str]) -> bool:
    return all(name == str(row) for row, name in enumerate(names))
