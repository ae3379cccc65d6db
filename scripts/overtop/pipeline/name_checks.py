"""Checks of single names in config.yaml, and of which of them can be used together."""

from collections.abc import Iterable, Iterator, Sequence

from overtop.config.datasets import (
    WITHOUT_PAIRS,
    ClassesDataset,
    HuggingFaceDataset,
    KarpathyDataset,
    VariantDataset,
)
from overtop.config.model import Config
from overtop.errors import did_you_mean
from overtop.terms import BANK_ESTIMATORS, PUBLISHED_ONLY, Protocol


def check_name(key: str, noun: str, name: str, known: Iterable[str]) -> Iterator[str]:
    """A line if `name` is none of the `known` ones."""
    known = list(known)
    if name not in known:
        yield f"{key}: no {noun} {name!r}; {did_you_mean(name, known)}"


def check_estimators(config: Config, key: str, names: Sequence[str]) -> Iterator[str]:
    """A line for each estimator that is not configured."""
    for name in names:
        if name not in config.estimators:
            yield f"{key}: {name!r} is not configured; {did_you_mean(name, config.estimators)}"


def check_protocols(key: str, names: Iterable[str], protocols: Sequence[Protocol]) -> Iterator[str]:
    """A line for each estimator that exists under none of the protocols."""
    for name in names:
        if name in PUBLISHED_ONLY and "published" not in protocols:
            yield f"{key}: {name!r} exists only under protocol 'published'; use 'adversarial_exact' or that protocol"
        if name in BANK_ESTIMATORS and "corrected" not in protocols:
            yield f"{key}: {name!r} exists only under protocol 'corrected'"


def check_split(config: Config, key: str, dataset: str, split: str) -> Iterator[str]:
    """A line if the data set is unknown, or its entry shows that it has no such split."""
    if dataset not in config.datasets:
        yield from check_name(f"{key}.dataset", "data set", dataset, config.datasets)
        return
    yield from (f"{key}.split: {line}" for line in check_has_split(config, dataset, split))


def check_has_split(config: Config, dataset: str, split: str) -> Iterator[str]:
    """A line if the entry of a declared data set shows that it has no such split."""
    names = config.stored_dataset(dataset).split_names() if has_stored_dataset(config, dataset) else None
    if names is not None and split not in names:
        yield f"data set {dataset!r} has no split {split!r}; {did_you_mean(split, names)}"


def has_stored_dataset(config: Config, dataset: str) -> bool:
    """Whether the data set has files, or is a variant of one that has; other names are reported by themselves."""
    spec = config.datasets.get(dataset)
    base = config.datasets.get(spec.of) if isinstance(spec, VariantDataset) else spec
    return base is not None and not isinstance(base, VariantDataset)


def check_not_variant(config: Config, key: str, dataset: str) -> Iterator[str]:
    """A line if the data set is a variant, where only the items of its base matter."""
    if isinstance(spec := config.datasets.get(dataset), VariantDataset):
        yield f"{key}: {dataset!r} is a variant, with the images and captions of its base; name {spec.of!r}"


def check_has_pairs(config: Config, key: str, dataset: str) -> Iterator[str]:
    """A line if the data set has images or texts alone, so that nothing can be trained or evaluated on it."""
    if dataset in config.datasets and has_stored_dataset(config, dataset):
        kind = config.stored_dataset(dataset).kind
        if kind in WITHOUT_PAIRS:
            yield f"{key}: {dataset!r} is of kind {kind}, without pairs of images and captions; name another data set"


def check_extended(config: Config, key: str, dataset: str, split: str) -> Iterator[str]:
    """A line if a split is to be evaluated with extended positives alone, and its entry shows that it has none."""
    spec = config.stored_dataset(dataset) if has_stored_dataset(config, dataset) else None
    if isinstance(spec, KarpathyDataset) and not spec.extended:
        yield f"{key}: data set {dataset!r} has only labelled positives; use these, or set datasets.{dataset}.extended"
    elif isinstance(spec, KarpathyDataset) and split != "test":
        yield f"{key}: only the split test of data set {dataset!r} has extended positives; use labelled"
    elif isinstance(spec, HuggingFaceDataset | ClassesDataset):
        yield f"{key}: data set {dataset!r} is of kind {spec.kind}, without extended positives; use labelled"


def check_combinations(config: Config, key: str, dataset: str, posteriors: Sequence[str]) -> Iterator[str]:
    """Imported embeddings and posteriors of kind imported can only be used together."""
    if not has_stored_dataset(config, dataset):
        return
    is_imported = config.stored_dataset(dataset).kind == "embeddings"
    for name in posteriors:
        posterior = config.posteriors.get(name)
        if posterior is not None and (posterior.kind == "imported") != is_imported:
            yield (
                f"{key}: posterior {name!r} cannot be used with data set {dataset!r}; "
                "posteriors of kind imported and data sets of kind embeddings can only be used together"
            )
