"""The judge of a search engine: fitted on the lists that it returned, without the gallery and without torch."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from overtop.confidence.answering import answer_queries, describe_promise
from overtop.confidence.fitting import fit_model, model_without_labels
from overtop.confidence.model import ANY_DIRECTION, TOPK_SOURCE, ConfidenceModel, ModelFacts, read_models, write_models
from overtop.confidence.topk_estimators import MeasuredLists, check_estimators, check_temperature, measure_lists
from overtop.confidence.topk_labels import Groups, find_hits, group_codes, parse_labels
from overtop.confidence.topk_lists import TopkLists, check_gallery_size, read_lists
from overtop.errors import OvertopError
from overtop.terms import Metric

COLUMN = "p_bound"
"""Column of the answers that `overtop.confidence.answering` does not have."""

LARGE_BOUND = 0.01
"""Median of `p_bound` above which a probability that is not fitted to labels comes with a warning."""


class TopkJudge:
    """Says which top hits of a search engine to trust, from the ids and scores that it returned.

    Made by `overtop.fit_topk` or `overtop.load_topk`.

    Attributes:
        model: the confidence model.
        top: K, number of best items of each query that are used.
        metric: what the scores are.
    """

    def __init__(self, model: ConfidenceModel, groups: Groups | None = None) -> None:
        self.model, self._groups = model, groups
        self.top: int = model.facts.provenance["top"]
        self.metric: Metric = model.facts.provenance["metric"]

    def __call__(
        self,
        ids: Any,
        scores: Any,
        *,
        precision: float | None = None,
        coverage: float | None = None,
        query_ids: Sequence[Any] | None = None,
    ) -> pd.DataFrame:
        """Return one row per query: its top-1, the probability that it is right, and whether to act on it.

        Args:
            ids: for each query the ids of its best items, best first, at least `top` of them; as in `fit_topk`.
            scores: their scores, from the same engine and with the same metric as in `fit_topk`.
            precision: act where this precision is guaranteed; one of those that the judge was fitted for, by default
                the first. A judge without labels acts on nothing.
            coverage: act on this share of the queries instead, the most certain ones; nothing is promised.
            query_ids: Q names of the queries; by default row numbers.

        Returns:
            Columns `query`, `top1` (its id), `similarity`, `uncertainty`, `p_right`, `act`, `warning`, and `p_bound`:
            by how much the softmax probability of the top-1 can be smaller because of gallery items that are not in the
            list, at most; missing if the size of the gallery is unknown.

        Raises:
            OvertopError: lists that are not valid or too short, or a precision that the judge was not fitted for.

        Warns:
            UserWarning: facts that make all answers doubtful, such as queries unlike the labelled ones.
        """
        lists = read_lists(ids, scores, self.metric, query_ids).cut(self.top, self.model.facts.gallery_size)
        measured = _measure(lists, self._groups, self.model.facts)
        answers = answer_queries(
            self.model,
            measured.uncertainty[self.model.estimator],
            lists.similarity[:, 0],
            lists.query_ids,
            lists.top1,
            precision=precision,
            coverage=coverage,
            tied=measured.tied,
        )
        if not self.model.n_queries:
            _warn_of_bound(measured.p_bound)
        return answers.assign(**{COLUMN: measured.p_bound})

    def promise(self, precision: float | None = None) -> str:
        """Return one sentence: what is promised of the answers to act on, and under which conditions.

        Args:
            precision: one of those that the judge was fitted for; by default the first.
        """
        sentence = describe_promise(self.model, precision)
        precision = self.model.default_precision if precision is None else precision
        if precision is None or self.model.threshold(precision).threshold == -np.inf:
            return sentence
        return f"{sentence}, searched by the same engine for the best {self.top} items"

    def save(self, path: str | Path) -> None:
        """Write the confidence model to a small JSON file, for `overtop.load_topk`. Groups are not in it."""
        write_models(path, {ANY_DIRECTION: self.model})

    def __repr__(self) -> str:
        labels = f"{self.model.n_queries:,} labelled queries" if self.model.n_queries else "no labels"
        return f"<TopkJudge: {self.model.estimator}, {self.model.mapping.kind}, {labels}, best {self.top} items>"


def fit_topk(
    ids: Any,
    scores: Any,
    relevant: Any = None,
    *,
    n_gallery: int | None = None,
    precision: float | Sequence[float] = 0.9,
    confidence: float = 0.95,
    estimator: str | list[str] | None = None,
    mapping: str = "auto",
    metric: Metric = "cosine",
    temperature: float | None = None,
    top: int | None = None,
    groups: Groups | None = None,
    encoder: str | None = None,
    query_ids: Sequence[Any] | None = None,
    seed: int = 0,
) -> TopkJudge:
    """Fit a judge of new queries to the results of a search engine, such as FAISS or Elasticsearch.

    Neither embeddings nor the gallery are needed. The engine, its settings and the number of items K are part of what
    is fitted: search new queries in the same way. K from 10 to 50 is enough for most galleries: the best items decide.

    Args:
        ids: for each labelled query the ids of its best items, best first: an array (Q, K), or lists of any length;
            integers or strings. The id -1 of FAISS (not found) ends a list.
        scores: their scores, of the same shape.
        relevant: for each query the id of the right item, or a list of several; -1 or None if it was not labelled; []
            if it is known that nothing in the gallery matches. None instead of a list: no labels. The judge then ranks
            queries by uncertainty and promises nothing.
        n_gallery: N, number of items that are searched, for the column `p_bound` of the answers.
        precision: share of right top-1 to guarantee among the answers that are acted on; several are possible.
        confidence: probability of each guarantee.
        estimator: `max_softmax` (default), `entropy`, `margin`, `margin_topk` or `top1_similarity`. `auto` or several
            names: the best of them, chosen on a third of the labelled queries.
        mapping: to a probability: `softmax`, `logistic`, `isotonic`, or `auto` for the best by cross-validation.
        metric: what the scores are. `cosine`: similarities of vectors of length 1 (FAISS, METRIC_INNER_PRODUCT). `l2`:
            squared distances of vectors of length 1 (FAISS, METRIC_L2). `elasticsearch`: `_score` of kNN search, which
            is (1 + cosine) / 2. `inner_product`: of vectors of any length; then give the temperature.
        temperature: T of the softmax over similarities; by default 0.01, which CLIP was trained to.
        top: K, number of best items to use; by default the length of the shortest list.
        groups: group of each item by id, or an array indexed by id. Items of a group (photographs of one product) do
            not compete, and each of them is right if one is. An item without a group is one by itself.
        encoder: label of the encoder; it is only stored.
        query_ids: Q names of the queries, for messages; by default row numbers.
        seed: of all random choices.

    Returns:
        The judge: `judge(ids, scores)`, `judge.promise()`, `judge.save(path)`.

    Raises:
        OvertopError: invalid input, with the argument, the problem and the fix in one line.

    Warns:
        UserWarning: there are too few labelled queries to guarantee a precision, or no top-1 is right.

    Example:
        >>> import overtop
        >>> rng = np.random.default_rng(0)
        >>> scores = -np.sort(-rng.normal(0.2, 0.02, size=(500, 50)), axis=1)  # index.search(queries, 50) of FAISS
        >>> scores[:, 0] += rng.uniform(0, 0.1, size=500)
        >>> ids = np.argsort(rng.random((500, 1000)), axis=1)[:, :50]
        >>> relevant = np.where(rng.random(500) < 10 * (scores[:, 0] - scores[:, 1]), ids[:, 0], ids[:, 7])
        >>> judge = overtop.fit_topk(ids, scores, relevant, n_gallery=1000, precision=0.8)
        >>> judge(ids[:3], scores[:3])[["query", "top1", "act", "warning"]].values.tolist()
        [[0, 637, False, ''], [1, 362, True, ''], [2, 113, False, '']]
    """
    temperature = check_temperature(temperature, metric)
    names = check_estimators(estimator)
    lists = read_lists(ids, scores, metric, query_ids)
    labels = None if relevant is None else parse_labels(relevant, lists)
    if labels is not None:
        lists = lists.select([row for row, label in enumerate(labels) if label is not None])
    lists = lists.cut(lists.shortest(n_gallery) if top is None else top, n_gallery)
    facts = ModelFacts(
        gallery_size=check_gallery_size(n_gallery),
        encoder=encoder,
        temperature=temperature,
        provenance={"source": TOPK_SOURCE, "top": lists.width, "metric": metric, "has_groups": groups is not None},
    )
    if labels is None:
        if len(names) > 1 or mapping not in ("auto", "softmax"):
            raise OvertopError("without labels no estimator or mapping can be chosen; name one estimator, no mapping")
        return TopkJudge(model_without_labels(names[0], facts), groups)
    hit = find_hits(lists, [label for label in labels if label is not None], groups)
    if not hit.any():
        warnings.warn(
            f"relevant: no top-1 of {len(hit):,} labelled queries is right; are these the ids of the engine?",
            stacklevel=2,
        )
    measured = _measure(lists, groups, facts)
    model = fit_model(
        {name: measured.uncertainty[name] for name in names},
        lists.similarity[:, 0],
        hit,
        precisions=[precision] if isinstance(precision, float | int) else list(precision),
        confidence=confidence,
        mapping=mapping,
        seed=seed,
        facts=facts,
    )
    return TopkJudge(model, groups)


def load_topk(path: str | Path, *, groups: Groups | None = None) -> TopkJudge:
    """Return the judge that `TopkJudge.save` wrote.

    Args:
        path: the JSON file.
        groups: as in `fit_topk`.

    Raises:
        OvertopError: the file is no confidence model or that of a gallery, or groups are missing.
    """
    models = read_models(path)
    model = models.get(ANY_DIRECTION)
    if model is None or model.facts.provenance.get("source") != TOPK_SOURCE:
        raise OvertopError(f"{path}: was not fitted to lists of a search engine; use overtop.load with the gallery")
    if model.facts.provenance["has_groups"] != (groups is not None):
        problem, fix = ("with", "give the same") if groups is None else ("without", "leave out")
        raise OvertopError(f"{path}: was fitted {problem} groups; {fix} groups")
    return TopkJudge(model, groups)


def _measure(lists: TopkLists, groups: Groups | None, facts: ModelFacts) -> MeasuredLists:
    return measure_lists(lists, group_codes(lists, groups), facts.gallery_size, facts.temperature)


def _warn_of_bound(p_bound: np.ndarray) -> None:
    """Warn that raw softmax probabilities may be too large."""
    if np.isnan(p_bound).all():
        problem = "by an unknown amount: give n_gallery to bound it"
    elif np.median(p_bound) > LARGE_BOUND:
        problem = f"by up to {np.median(p_bound):.2g} (median, column p_bound): ask the engine for more items"
    else:
        return
    text = f"p_right is a softmax over the listed items only and may be too large {problem}, or label queries"
    warnings.warn(text, stacklevel=3)
