"""The confidence model of one posterior and direction, and its JSON file, which is read without torch.

A model names an estimator, maps its uncertainty to the probability that the top-1 is right, and has thresholds with a
guaranteed precision. It also states what it was fitted on, since a guarantee applies only to new queries like those,
with the same gallery and the same encoder.
"""

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic import dataclasses as validated

from overtop.confidence.mappings import Mapping as ProbabilityMapping
from overtop.errors import OvertopError
from overtop.storage.json_files import read_json, write_json
from overtop.terms import SOFTMAX_TEMPERATURE

SCHEMA: Literal["confidence/1"] = "confidence/1"

QUANTILE_LEVELS = np.array([0, 0.005, *np.arange(1, 40) / 40, 0.995, 1])
"""Levels of the stored quantiles: every 2.5 %, 0.5 % and 99.5 %, and the extremes."""

ANY_DIRECTION = "queries"
"""Key of a model in a file where queries and gallery have no modality."""

_STRICT = ConfigDict(extra="forbid", ser_json_inf_nan="strings")

TOPK_SOURCE = "topk"
"""`source` in the provenance of a model that was fitted to the lists of a search engine, without the gallery."""


@validated.dataclass(frozen=True, config=_STRICT)
class ModelFacts:
    """What a confidence model was fitted on.

    Attributes:
        gallery_size: N, the number of gallery items; None if unknown.
        gallery_fingerprint: digest of their embeddings and names; None if unknown.
        gallery_groups: number of groups of items that do not compete (captions of one image); None if unknown.
        encoder: name or digest of the encoder; None if unknown.
        dims: embedding width of each sample; empty if there were no embeddings.
        bank: facts of the bank (`size`, `fingerprint`); None without one.
        temperature: T of the softmax over the gallery.
        provenance: anything else, such as data set, split and posterior; values that JSON can represent.
    """

    gallery_size: int | None
    gallery_fingerprint: str | None = None
    gallery_groups: int | None = None
    encoder: str | None = None
    dims: tuple[int, ...] = ()
    bank: dict[str, Any] | None = None
    temperature: float = SOFTMAX_TEMPERATURE
    provenance: dict[str, Any] = field(default_factory=dict)


@validated.dataclass(frozen=True, config=_STRICT)
class Measure:
    """A measured value and its interval."""

    value: float
    low: float
    high: float


@validated.dataclass(frozen=True, config=_STRICT)
class Calibration:
    """How honest the probabilities are, by 5-fold cross-validation on the labelled queries.

    Attributes:
        nll: mean negative log-likelihood of hit or miss, in nats.
        brier: mean squared difference of the probability and the hit, 0 to 1.
        ece: expected calibration error, 15 bins of equal count.
        calibrated_ece: what `ece` is expected to be for a perfectly calibrated model with this number of queries.
    """

    nll: Measure
    brier: Measure
    ece: Measure
    calibrated_ece: float


@validated.dataclass(frozen=True, config=_STRICT)
class Threshold:
    """A threshold on the uncertainty: act if the uncertainty is below it.

    Attributes:
        precision: guaranteed share of right top-1 among the queries to act on.
        threshold: infinity acts on all queries; minus infinity on none: nothing could be guaranteed.
        coverage: share of the labelled queries below the threshold.
    """

    precision: float
    threshold: float
    coverage: float


@validated.dataclass(frozen=True, config=_STRICT)
class ConfidenceModel:
    """A confidence model of one posterior and direction.

    Attributes:
        estimator: name of the estimator of the uncertainty.
        mapping: from uncertainty to the probability that the top-1 is right.
        thresholds: one per precision, in the order of the request; empty if there were no labels.
        confidence: probability with which each precision is guaranteed.
        n_queries: labelled queries.
        n_hits: those of them whose top-1 is right.
        n_threshold_queries: labelled queries that the thresholds were chosen on; fewer than `n_queries` if others
            chose the estimator.
        calibration: of the cross-validated probabilities; None with fewer labelled queries than can be cross-validated.
        nll_by_mapping: cross-validated NLL of each mapping that was compared.
        nll_by_estimator: the same of each estimator that was compared, on the queries that chose it.
        similarity_quantiles: of the top-1 similarity of the labelled queries at `QUANTILE_LEVELS`; empty without any.
        uncertainty_quantiles: of their uncertainty, likewise.
        facts: what the model was fitted on.
    """

    estimator: str
    mapping: ProbabilityMapping
    facts: ModelFacts
    thresholds: tuple[Threshold, ...] = ()
    confidence: float = 0.95
    n_queries: int = 0
    n_hits: int = 0
    n_threshold_queries: int = 0
    calibration: Calibration | None = None
    nll_by_mapping: dict[str, float] = field(default_factory=dict)
    nll_by_estimator: dict[str, float] = field(default_factory=dict)
    similarity_quantiles: tuple[float, ...] = ()
    uncertainty_quantiles: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("similarity_quantiles", "uncertainty_quantiles"):
            if len(getattr(self, name)) not in (0, len(QUANTILE_LEVELS)):
                raise ValueError(f"{name} has {len(getattr(self, name))} values, expected {len(QUANTILE_LEVELS)}")

    @property
    def default_precision(self) -> float | None:
        """The first precision that was asked for; None without thresholds."""
        return self.thresholds[0].precision if self.thresholds else None

    def threshold(self, precision: float) -> Threshold:
        """Return the threshold of a guaranteed precision.

        Raises:
            OvertopError: the model was fitted without this precision, or without labels.
        """
        for item in self.thresholds:
            if np.isclose(item.precision, precision, rtol=0, atol=1e-9):
                return item
        if not self.thresholds:
            raise OvertopError(
                f"precision {precision}: this confidence model was made without labels and has no thresholds; "
                "fit it with labelled queries, or give a coverage instead"
            )
        known = ", ".join(f"{item.precision:g}" for item in self.thresholds)
        raise OvertopError(
            f"precision {precision:g}: this confidence model has thresholds for {known}; use one of these, "
            "or fit it again with this precision"
        )


@validated.dataclass(frozen=True, config=_STRICT)
class _File:
    schema: Literal["confidence/1"]
    models: dict[str, ConfidenceModel]


_ADAPTER: TypeAdapter[_File] = TypeAdapter(_File)

_MAKE = "make it with `overtop calibrate` or `judge.save`"
"""What to do about a file that is missing or damaged."""


def write_models(path: str | Path, models: Mapping[str, ConfidenceModel]) -> None:
    """Write confidence models to one JSON file, atomically. Infinite numbers are written as strings.

    Args:
        path: the file.
        models: by direction, `t2i` or `i2t`, or with the one key `ANY_DIRECTION`.
    """
    write_json(path, json.loads(_ADAPTER.dump_json(_File(SCHEMA, dict(models)))))


def read_models(path: str | Path) -> dict[str, ConfidenceModel]:
    """Read the confidence models that `write_models` wrote.

    Raises:
        OvertopError: the file is missing, damaged, or not a confidence model of this version.
    """
    if not Path(path).exists():
        raise OvertopError(f"{path}: no such file; {_MAKE}")
    content = read_json(path, _MAKE)
    try:
        return _ADAPTER.validate_json(json.dumps(content)).models
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise OvertopError(
            f"{path}: is not a confidence model ({SCHEMA}), or is damaged{f': {place}' if place else ''}: "
            f"{first['msg'].removeprefix('Value error, ')}; {_MAKE}"
        ) from None
