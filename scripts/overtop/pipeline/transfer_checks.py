"""Checks of the entries of `transfers` in config.yaml against its other sections."""

from collections.abc import Iterator

from overtop.config.model import Config
from overtop.config.transfers import TransferSpec
from overtop.pipeline.banks import check_bank_exists, find_bank
from overtop.pipeline.name_checks import check_combinations, check_name, check_protocols, check_split
from overtop.terms import ESTIMATORS

RESERVED_ENDINGS = ("-bins", "-thresholds")
"""Ends of the names of files that belong to a study, with which the name of a study cannot end."""


def check_transfer(config: Config, key: str, spec: TransferSpec) -> Iterator[str]:
    """One line per mistake in the entry of a transfer study, which is at `key`."""
    model = spec.model
    if key.endswith(RESERVED_ENDINGS):
        yield f"{key}: the name of a study cannot end in {', '.join(RESERVED_ENDINGS)}, as its files do"
    yield from check_name(f"{key}.model.posterior", "posterior", model.posterior, config.posteriors)
    posterior = config.posteriors.get(model.posterior)
    if posterior is not None and "corrected" not in posterior.protocols:
        yield f"{key}.model.posterior: {model.posterior!r} is for another protocol than corrected"
    yield from check_split(config, f"{key}.model", model.dataset, model.split)
    for dataset in dict.fromkeys([model.dataset, *spec.datasets]):
        if dataset in config.datasets:
            yield from check_combinations(config, key, dataset, [model.posterior])
    for name in spec.datasets:
        if name not in config.datasets:
            yield from check_name(f"{key}.datasets", "data set", name, config.datasets)
        else:
            yield from check_split(config, key, name, spec.split)
        if (name, spec.split) == (model.dataset, model.split):
            yield f"{key}.split: {name}/{spec.split} has the queries that the models are fitted to; name another split"
    yield from _check_estimators(config, f"{key}.estimators", spec)


def _check_estimators(config: Config, key: str, spec: TransferSpec) -> Iterator[str]:
    """Lines on estimators that are never scored. Like those of a figure, they disappear if they are not configured."""
    for name in spec.estimators:
        yield from check_name(key, "estimator", name, ESTIMATORS)
    if set(spec.estimators).isdisjoint(config.estimators):
        yield f"{key}: none of them is configured; add one of them to `estimators`"
    yield from check_protocols(key, spec.estimators, ["corrected"])
    if "estimators" not in spec.model_fields_set:
        return  # of the default ones, those that need a bank are left out without one
    labelled, split = spec.model.dataset, spec.model.split
    if labelled in config.datasets and find_bank(config, labelled, split) is None:
        yield from check_bank_exists(config, key, spec.estimators, [labelled], [split])
    else:
        yield from check_bank_exists(config, key, spec.estimators, spec.datasets, [spec.split])
