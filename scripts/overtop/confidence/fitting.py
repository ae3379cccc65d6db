"""Fits a confidence model to labelled queries.

Three things are chosen from the labels, and only the last one is guaranteed:

1. The estimator, if there are several candidates: by cross-validated NLL, on a random third of the queries.
2. The mapping to a probability: by cross-validated NLL. It is fitted to all queries.
3. The thresholds: on all queries, but without that third if it chose the estimator. Its uncertainties would not be
   those of new queries, as the estimator that looks best on these labels was selected.
"""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from overtop.confidence.hit_probabilities import hit_predictions
from overtop.confidence.mappings import (
    PROBABILITY_ESTIMATORS,
    SoftmaxMapping,
    applicable_mappings,
    fit_mapping,
    negative_log_likelihood,
)
from overtop.confidence.model import QUANTILE_LEVELS, Calibration, ConfidenceModel, Measure, ModelFacts, Threshold
from overtop.confidence.thresholds import fewest_queries, guaranteed_threshold
from overtop.errors import OvertopError
from overtop.evaluation.bootstrap import draw_cluster_weights
from overtop.evaluation.inputs import validate_scores
from overtop.evaluation.probabilities import MEASURE_BOUNDS, calibrated_ece, measure_probabilities
from overtop.evaluation.significance import symmetric_interval
from overtop.labels import format_count
from overtop.seeds import derive_seed

FOLDS = 5
"""Folds of the cross-validation."""

FEWEST_TO_CHOOSE = 10
"""With fewer labelled queries nothing is cross-validated, and the first candidate is used."""

CHOICE_SHARE = 3
"""One in so many queries chooses the estimator."""

RESAMPLES = 1000
"""Resamples of the intervals of `Calibration`."""


def fit_model(
    candidates: Mapping[str, np.ndarray],
    similarity: np.ndarray,
    hit: np.ndarray,
    *,
    precisions: Sequence[float],
    confidence: float = 0.95,
    mapping: str = "auto",
    seed: int = 0,
    facts: ModelFacts,
) -> ConfidenceModel:
    """Fit the confidence model of one direction.

    Args:
        candidates: uncertainty (Q,) of the labelled queries by estimator; several are compared.
        similarity: (Q,) similarity of the top-1.
        hit: (Q,) bool, whether the top-1 is right. Queries must be independent, hence one per image.
        precisions: share of right top-1 to guarantee; the first is the default.
        confidence: probability of each guarantee.
        mapping: `softmax`, `logistic`, `isotonic`, or `auto` for the smallest cross-validated NLL.
        seed: of folds, resamples, and the choice of the third.
        facts: what the queries were ranked with.

    Raises:
        OvertopError: no queries, arrays of different length, a number that is not finite, a probability out of range,
            or a mapping that the estimator does not allow.

    Warns:
        UserWarning: there are too few labelled queries to guarantee a precision.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> u = rng.uniform(size=1000)
        >>> hit = rng.uniform(size=1000) > u
        >>> model = fit_model({"max_softmax": u}, 1 - u, hit, precisions=[0.8], facts=ModelFacts(gallery_size=100))
        >>> model.mapping.kind, round(model.threshold(0.8).threshold, 2)
        ('softmax', 0.32)
    """
    if not candidates:
        raise OvertopError("there is no estimator to fit; name at least one")
    scores = {name: validate_scores(uncertainty, hit)[0] for name, uncertainty in candidates.items()}
    similarity, hit = validate_scores(similarity, hit)
    estimator, nll_by_estimator, for_thresholds = _choose_estimator(scores, hit, mapping, seed)
    uncertainty = scores[estimator]
    kind, nll_by_mapping, probability = _choose_mapping(estimator, uncertainty, hit, mapping, seed)
    return ConfidenceModel(
        estimator=estimator,
        mapping=fit_mapping(kind, estimator, uncertainty, hit),
        facts=facts,
        thresholds=_choose_thresholds(uncertainty[for_thresholds], hit[for_thresholds], precisions, confidence),
        confidence=confidence,
        n_queries=len(hit),
        n_hits=int(hit.sum()),
        n_threshold_queries=len(for_thresholds),
        calibration=None if probability is None else measure_calibration(probability, hit, seed),
        nll_by_mapping=nll_by_mapping,
        nll_by_estimator=nll_by_estimator,
        similarity_quantiles=tuple(np.quantile(similarity, QUANTILE_LEVELS).tolist()),
        uncertainty_quantiles=tuple(np.quantile(uncertainty, QUANTILE_LEVELS).tolist()),
    )


def model_without_labels(estimator: str, facts: ModelFacts) -> ConfidenceModel:
    """Return a model that guarantees nothing: the probability is that of the estimator, and there are no thresholds.

    Raises:
        OvertopError: the uncertainty of the estimator is not one minus a probability.
    """
    if estimator not in PROBABILITY_ESTIMATORS:
        raise OvertopError(
            f"estimator {estimator!r}: without labelled queries only the estimators that are a probability can be "
            f"used ({', '.join(PROBABILITY_ESTIMATORS)}); use one of these, or give queries and relevant"
        )
    return ConfidenceModel(estimator, SoftmaxMapping(), facts)


def cross_validate(name: str, estimator: str, uncertainty: np.ndarray, hit: np.ndarray, seed: int) -> np.ndarray:
    """Return the probability of a hit (Q,) of each query by a mapping that was fitted to the other folds."""
    folds = np.random.default_rng(derive_seed(seed, "confidence", "folds")).permutation(len(hit)) % FOLDS
    probability = np.empty(len(hit))
    for fold in range(FOLDS):
        is_test = folds == fold
        fitted = fit_mapping(name, estimator, uncertainty[~is_test], hit[~is_test])
        probability[is_test] = fitted.probability(uncertainty[is_test])
    return probability


def measure_calibration(probability: np.ndarray, hit: np.ndarray, seed: int, level: float = 0.95) -> Calibration:
    """Measure how honest probabilities of a hit (Q,) are, with intervals by bootstrap over the queries.

    Args:
        probability: (Q,) in [0, 1], of queries that the probabilities were not fitted to.
        hit: (Q,) bool.
        seed: of the resamples.
        level: of the intervals.
    """
    predictions = hit_predictions(probability, hit)
    weights = draw_cluster_weights(len(hit), RESAMPLES, derive_seed(seed, "confidence", "bootstrap"))
    values = measure_probabilities(predictions, weights)
    measures = {}
    for name, source in {"nll": "nll", "brier": "brier", "ece": "ece_mass"}.items():
        value, draws = values[source][0], values[source][1:]
        low, high = symmetric_interval(value, draws, level, MEASURE_BOUNDS[source])
        measures[name] = Measure(float(value), float(low), float(high))
    return Calibration(**measures, calibrated_ece=calibrated_ece(probability, "mass"))


def _choose_estimator(
    scores: Mapping[str, np.ndarray], hit: np.ndarray, mapping: str, seed: int
) -> tuple[str, dict[str, float], np.ndarray]:
    """The estimator, the NLL of each if they were compared, and the queries that thresholds may use."""
    everything = np.arange(len(hit))
    first, *others = scores
    if not others or len(hit) < CHOICE_SHARE * FEWEST_TO_CHOOSE:
        return first, {}, everything
    order = np.random.default_rng(derive_seed(seed, "confidence", "estimator")).permutation(len(hit))
    choice, rest = np.split(order, [len(hit) // CHOICE_SHARE])
    nll = {
        name: min(_choose_mapping(name, uncertainty[choice], hit[choice], mapping, seed)[1].values())
        for name, uncertainty in scores.items()
    }
    return min(nll, key=lambda name: nll[name]), nll, np.sort(rest)


def _choose_mapping(
    estimator: str, uncertainty: np.ndarray, hit: np.ndarray, mapping: str, seed: int
) -> tuple[str, dict[str, float], np.ndarray | None]:
    """The mapping, the NLL of each, and the cross-validated probabilities (Q,) of the chosen one."""
    names = applicable_mappings(estimator, mapping)
    if len(hit) < FEWEST_TO_CHOOSE:
        return names[0], {}, None
    predicted = {name: cross_validate(name, estimator, uncertainty, hit, seed) for name in names}
    nll = {name: float(negative_log_likelihood(p, hit).mean()) for name, p in predicted.items()}
    best = min(nll, key=lambda name: nll[name])
    return best, nll, predicted[best]


def _choose_thresholds(
    uncertainty: np.ndarray, hit: np.ndarray, precisions: Sequence[float], confidence: float
) -> tuple[Threshold, ...]:
    thresholds = []
    for precision in precisions:
        value = guaranteed_threshold(uncertainty, hit, precision, confidence)
        thresholds.append(Threshold(float(precision), value, float((uncertainty < value).mean())))
        needed = fewest_queries(precision, confidence)
        if len(hit) < needed:
            warnings.warn(
                f"precision {precision:g} cannot be guaranteed with confidence {confidence:g} from "
                f"{format_count(len(hit), 'labelled query')}: at least {needed} are needed, all of "
                "them right, and more if some are wrong",
                stacklevel=3,
            )
    return tuple(thresholds)
