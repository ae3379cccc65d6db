"""Checks of `answers` in config.yaml, and of the estimator of confidence models.

What only answers that are built need is checked when their jobs are planned: that files and folders exist
(`answers.locate`), and that models are fitted on the exact ranking.
"""

from collections.abc import Iterator

from overtop.config.answers import AnswerSpec, Items
from overtop.config.model import Config
from overtop.pipeline.answers import (
    ROLES,
    Role,
    derived_name,
    find_direction,
    find_split,
    own_modality,
)
from overtop.pipeline.banks import check_bank_exists
from overtop.pipeline.derived import derived_dataset
from overtop.pipeline.name_checks import (
    check_combinations,
    check_name,
    check_split,
    has_stored_dataset,
)
from overtop.terms import AUTO, ESTIMATORS, IMPORTED, PROBABILITY_ESTIMATORS, RANKING_ESTIMATORS

NOUNS = {"image": "images", "text": "texts"}


def check_confidence_estimator(config: Config) -> Iterator[str]:
    """Lines if the configured estimator of confidence models is unknown, or needs more than a ranking."""
    name, key = config.operating.estimator, "operating.estimator"
    if name in (None, AUTO):
        return
    if name not in ESTIMATORS or name in RANKING_ESTIMATORS:
        yield from check_name(key, "estimator", name, [AUTO, *ESTIMATORS])
        if config.operating.mapping == "softmax" and name in ESTIMATORS and name not in PROBABILITY_ESTIMATORS:
            yield f"operating.mapping: {name!r} is no probability; use logistic, isotonic or auto"
    else:
        yield (
            f"{key}: {name!r} cannot be computed for new queries from a ranking alone; use one of "
            f"{', '.join(RANKING_ESTIMATORS)}, or {AUTO}"
        )


def check_answer(config: Config, name: str, answer: AnswerSpec) -> Iterator[str]:
    """One line per mistake in an answer."""
    key = f"answers.{name}"
    yield from _check_model(config, f"{key}.model", answer)
    if answer.precision not in config.operating.precisions:
        known = ", ".join(f"{precision:g}" for precision in config.operating.precisions)
        yield (
            f"{key}.precision: the confidence model has no threshold for {answer.precision:g}; use one of {known}, or "
            "add it to operating.precisions"
        )
    yield from _check_direction(config, key, answer)
    for role in ROLES:
        yield from _check_items(config, f"{key}.{role}", answer, getattr(answer, role))
        yield from _check_derived_name(config, name, role, answer)


def _check_model(config: Config, key: str, answer: AnswerSpec) -> Iterator[str]:
    model = answer.model
    yield from check_name(f"{key}.posterior", "posterior", model.posterior, config.posteriors)
    posterior = config.posteriors.get(model.posterior)
    if posterior is not None and posterior.view is not None:
        clean = model.posterior.partition("@")[0]
        yield f"{key}.posterior: new images are not attacked; use {clean!r}"
    if posterior is not None and "corrected" not in posterior.protocols:
        yield f"{key}.posterior: {model.posterior!r} is for protocol 'published', confidence models are 'corrected'"
    yield from check_name(f"{key}.dataset", "data set", model.dataset, config.datasets)
    if not _is_usable(config, model.dataset):
        return
    stored = config.stored_dataset(model.dataset)
    if stored.kind in ("images", "texts"):
        yield f"{key}.dataset: {model.dataset!r} has {stored.kind} only; {_how_to_get_labels('another data set')}"
    elif (names := stored.split_names()) is not None and model.split not in names:
        yield (
            f"{key}.split: data set {model.dataset!r} has no split {model.split!r}, its splits: {', '.join(names)}; "
            f"{_how_to_get_labels(f'datasets.{config.base_of(model.dataset)}')}"
        )
    else:
        yield from check_combinations(config, key, model.dataset, [model.posterior])
        names = [config.operating.estimator] if config.operating.estimator not in (None, AUTO) else []
        yield from check_bank_exists(config, "operating.estimator", names, [model.dataset], [model.split])


def _is_usable(config: Config, dataset: str) -> bool:
    """Whether a data set is declared and has files; others are reported elsewhere."""
    return dataset in config.datasets and has_stored_dataset(config, dataset)


def _has_classes(config: Config, dataset: str) -> bool:
    return _is_usable(config, dataset) and config.stored_dataset(dataset).kind == "classes"


def _how_to_get_labels(place: str) -> str:
    return (
        f"a model is fitted on labelled pairs: hold out some of {place} with `split` or `held_out`, or rank answers by "
        "their uncertainty, without labels and without a promise, by the command `overtop trust`"
    )


def _check_direction(config: Config, key: str, answer: AnswerSpec) -> Iterator[str]:
    """Lines if queries and gallery do not determine the direction, or contradict each other or the data set."""
    queries, gallery = (own_modality(config, getattr(answer, role), role) for role in ROLES)
    direction = find_direction(config, answer)
    if queries is not None and queries == gallery:
        yield f"{key}: queries and gallery are both {NOUNS[queries]}; one must be images, the other texts"
    elif direction is None:
        yield f"{key}.direction: is missing; give t2i (texts look for images) or i2t (images look for texts)"
    elif answer.direction not in (None, direction):
        yield f"{key}.direction: queries and gallery are those of {direction}; remove it"
    elif direction == "t2i" and _has_classes(config, answer.model.dataset):
        yield f"{key}.model.dataset: {answer.model.dataset!r} has classes, which rank no images; use images as queries"


def _check_items(config: Config, key: str, answer: AnswerSpec, items: Items) -> Iterator[str]:
    """Lines if the data set of some items is unknown, or the posterior of the model cannot embed them."""
    posterior = config.posteriors.get(answer.model.posterior)
    if items.dataset is not None:
        yield from check_name(f"{key}.dataset", "data set", items.dataset, config.datasets)
        if _is_usable(config, items.dataset):
            yield from check_split(config, key, items.dataset, find_split(config, answer, items))
            yield from check_combinations(config, key, items.dataset, [answer.model.posterior])
    elif items.embeddings is None and posterior is not None and posterior.encoders() == [IMPORTED]:
        what = "images" if items.folder is not None else "texts"
        yield (
            f"{key}: posterior {answer.model.posterior!r} has no encoder that could embed {what}; embed them with the "
            "encoder of the imported embeddings and give the file as `embeddings`"
        )


def _check_derived_name(config: Config, name: str, role: Role, answer: AnswerSpec) -> Iterator[str]:
    """A line if a declared data set has the name of the one that is derived for a folder or a table."""
    derived, declared = derived_dataset(getattr(answer, role)), config.datasets.get(derived_name(name, role))
    if derived is not None and declared != derived:
        yield f"datasets.{derived_name(name, role)}: this name is used for answers.{name}.{role}; choose another one"
