"""Checks across sections of config.yaml: names that refer to nothing, and combinations that are impossible.

What depends on open_clip's list of models is checked in `encoder_checks`, so that reading the configuration never
imports torch.
"""

from collections.abc import Iterable, Iterator, Sequence

from overtop.config.adapters import AdapterSpec
from overtop.config.banks import BankSpec
from overtop.config.cascades import CascadeSpec
from overtop.config.datasets import KarpathyDataset, VariantDataset
from overtop.config.encoders import EncoderSpec
from overtop.config.figures import BankFigure, CascadeFigure, CurveFigure, SensitivityFigure, ThinningFigure
from overtop.config.model import Config
from overtop.config.posteriors import Deterministic, McDropout, PosteriorSpec
from overtop.config.tables import TableSpec
from overtop.errors import did_you_mean
from overtop.pipeline.banks import check_bank_exists, is_comparable
from overtop.terms import BANK_ESTIMATORS, ESTIMATORS, IMPORTED, PUBLISHED_ONLY, Protocol


def cross_checks(config: Config) -> Iterator[str]:
    """One line per mistake, in the order of the sections."""
    for name in config.estimators:
        yield from _check_name("estimators", "estimator", name, ESTIMATORS)
    yield from _check_bank(config)
    for name, dataset in config.datasets.items():
        if isinstance(dataset, KarpathyDataset):
            yield from _check_routes(config, name, dataset)
        if isinstance(dataset, VariantDataset):
            yield from _check_variant(config, f"datasets.{name}.of", dataset)
        else:
            yield from _check_own_bank(config, f"datasets.{name}.bank", name, dataset.bank)
    for name, encoder in config.encoders.items():
        yield from _check_training(config, name, encoder)
    for name, adapter in config.adapters.items():
        yield from _check_adapter(config, f"adapters.{name}", adapter)
    for name, posterior in config.posteriors.items():
        yield from _check_posterior(config, f"posteriors.{name}", posterior)
    for name, cascade in config.cascades.items():
        yield from _check_cascade(config, f"cascades.{name}", cascade)
    for name, table in config.tables.items():
        yield from _check_table(config, f"tables.{name}", table)
    for name, figure in config.figures.items():
        match figure:
            case CascadeFigure():
                yield from _check_name(f"figures.{name}.cascade", "cascade", figure.cascade, config.cascades)
            case SensitivityFigure():
                yield from _check_sensitivity_figure(config, f"figures.{name}", figure)
            case ThinningFigure():
                yield from _check_thinning_figure(config, f"figures.{name}", figure)
            case BankFigure():
                yield from _check_bank_figure(config, f"figures.{name}", figure)
            case CurveFigure():
                yield from _check_curve_figure(config, f"figures.{name}", figure)


def _check_name(key: str, noun: str, name: str, known: Iterable[str]) -> Iterator[str]:
    """A line if `name` is none of the `known` ones."""
    known = list(known)
    if name not in known:
        yield f"{key}: no {noun} {name!r}; {did_you_mean(name, known)}"


def _check_estimators(config: Config, key: str, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if name not in config.estimators:
            yield f"{key}: {name!r} is not configured; {did_you_mean(name, config.estimators)}"


def _check_protocols(key: str, names: Iterable[str], protocols: Sequence[Protocol]) -> Iterator[str]:
    """A line for each estimator that exists under none of the protocols."""
    for name in names:
        if name in PUBLISHED_ONLY and "published" not in protocols:
            yield f"{key}: {name!r} exists only under protocol 'published'; use 'adversarial_exact' or that protocol"
        if name in BANK_ESTIMATORS and "corrected" not in protocols:
            yield f"{key}: {name!r} exists only under protocol 'corrected'"


def _check_split(config: Config, key: str, dataset: str, split: str) -> Iterator[str]:
    """A line if the data set is unknown, or its entry shows that it has no such split."""
    if dataset not in config.datasets:
        yield from _check_name(f"{key}.dataset", "data set", dataset, config.datasets)
        return
    if not _has_stored_dataset(config, dataset):
        return
    names = config.stored_dataset(dataset).split_names()
    if names is not None and split not in names:
        yield f"{key}.split: data set {dataset!r} has no split {split!r}; {did_you_mean(split, names)}"


def _check_bank(config: Config) -> Iterator[str]:
    """Lines if no data set can have the top-level bank."""
    bank = config.bank
    if bank is None:
        return
    if bank.dataset is not None:
        yield from _check_split(config, "bank", bank.dataset, bank.split)
        yield from _check_not_variant(config, "bank.dataset", bank.dataset)
    else:
        stored = [spec for spec in config.datasets.values() if not isinstance(spec, VariantDataset)]
        if splits := {split for spec in stored for split in spec.listed_splits()}:
            yield from _check_name("bank.split", "data set with a split", bank.split, splits)


def _check_own_bank(config: Config, key: str, name: str, bank: BankSpec | None) -> Iterator[str]:
    """Lines if the bank of a data set does not exist, is of other embeddings, or only of evaluated queries."""
    if bank is None:
        return
    source = bank.dataset or name
    yield from _check_split(config, key, source, bank.split)
    yield from _check_not_variant(config, f"{key}.dataset", source)
    if source in config.datasets and not is_comparable(config, name, source):
        yield f"{key}: {source!r} and {name!r} are not of the same encoder; imported embeddings need an imported bank"
    evaluated = {table.split for table in config.tables.values() if name in table.datasets}
    if source == name and evaluated == {bank.split}:
        yield f"{key}.split: {bank.split!r} is evaluated itself, and then the bank is not used; name another split"


def _has_stored_dataset(config: Config, dataset: str) -> bool:
    """Whether the data set has files, or is a variant of one that has; other variants are reported by themselves."""
    base = config.datasets.get(config.base_of(dataset))
    return base is not None and not isinstance(base, VariantDataset)


def _check_variant(config: Config, key: str, variant: VariantDataset) -> Iterator[str]:
    stored = [name for name, spec in config.datasets.items() if not isinstance(spec, VariantDataset)]
    if isinstance(base := config.datasets.get(variant.of), VariantDataset):
        yield f"{key}: {variant.of!r} is a variant itself; name its base {base.of!r}"
    else:
        yield from _check_name(key, "data set", variant.of, stored)


def _check_not_variant(config: Config, key: str, dataset: str) -> Iterator[str]:
    """A line if the data set is a variant, where only the items of its base matter."""
    if isinstance(spec := config.datasets.get(dataset), VariantDataset):
        yield f"{key}: {dataset!r} is a variant, with the images and captions of its base; name {spec.of!r}"


def _check_routes(config: Config, name: str, dataset: KarpathyDataset) -> Iterator[str]:
    for number, route in enumerate(dataset.routes):
        for source in filter(None, [route.annotations, *route.image_sources()]):
            yield from _check_name(f"datasets.{name}.routes.{number}", "source", source, config.sources)


def _check_training(config: Config, name: str, encoder: EncoderSpec) -> Iterator[str]:
    if encoder.train is None:
        return
    key, dataset = f"encoders.{name}.train.dataset", encoder.train.dataset
    yield from _check_name(key, "data set", dataset, config.datasets)
    yield from _check_not_variant(config, key, dataset)
    if dataset in config.datasets and config.datasets[dataset].kind == "embeddings":
        yield f"{key}: {dataset!r} holds embeddings, not images to train on"


def _check_adapter(config: Config, key: str, adapter: AdapterSpec) -> Iterator[str]:
    yield from _check_name(f"{key}.encoder", "encoder", adapter.encoder, [*config.encoders, IMPORTED])
    dataset = config.datasets.get(adapter.dataset)
    if isinstance(dataset, VariantDataset):
        yield from _check_not_variant(config, f"{key}.dataset", adapter.dataset)
        return
    if dataset is not None and (dataset.kind == "embeddings") != (adapter.encoder == IMPORTED):
        yield f"{key}: encoder {IMPORTED!r} and data sets of kind embeddings can only be used together"
    yield from _check_split(config, key, adapter.dataset, adapter.train)
    if dataset is not None:
        yield from _check_split(config, key, adapter.dataset, adapter.val)


def _check_posterior(config: Config, key: str, posterior: PosteriorSpec) -> Iterator[str]:
    for encoder in posterior.encoders():
        yield from _check_name(key, "encoder", encoder, [*config.encoders, IMPORTED])
    if posterior.adapter is None:
        return
    yield from _check_name(f"{key}.adapter", "adapter", posterior.adapter, config.adapters)
    adapter = config.adapters.get(posterior.adapter)
    if adapter is not None and [adapter.encoder] != posterior.encoders():
        yield f"{key}.adapter: {posterior.adapter!r} was trained on encoder {adapter.encoder!r}, not on this one"


def _check_cascade(config: Config, key: str, cascade: CascadeSpec) -> Iterator[str]:
    for role in ("cheap", "expensive"):
        yield from _check_name(f"{key}.{role}", "posterior", getattr(cascade, role), config.posteriors)
        estimator = getattr(cascade, f"{role}_estimator")
        yield from _check_estimators(config, f"{key}.{role}_estimator", [estimator])
        yield from _check_protocols(f"{key}.{role}_estimator", [estimator], [cascade.protocol])
    if isinstance(config.posteriors.get(cascade.expensive), Deterministic):
        yield f"{key}.expensive: {cascade.expensive!r} has one sample; name a posterior with several"
    for role in ("cheap", "expensive"):
        name, splits = f"{role}_estimator", [cascade.split, cascade.val]
        yield from check_bank_exists(config, f"{key}.{name}", [getattr(cascade, name)], [cascade.dataset], splits)
    yield from _check_split(config, key, cascade.dataset, cascade.split)
    if cascade.dataset in config.datasets:
        yield from _check_split(config, key, cascade.dataset, cascade.val)


def _check_table(config: Config, key: str, table: TableSpec) -> Iterator[str]:
    yield from _check_estimators(config, f"{key}.estimators", table.estimators)
    yield from check_bank_exists(config, f"{key}.estimators", table.estimators, table.datasets, [table.split])
    yield from _check_protocols(f"{key}.estimators", table.estimators, table.protocols)
    for name in table.posteriors:
        yield from _check_name(f"{key}.posteriors", "posterior", name, config.posteriors)
        posterior = config.posteriors.get(name)
        if posterior is not None and set(table.protocols).isdisjoint(posterior.protocols):
            yield f"{key}: posterior {name!r} is for another protocol; remove it, or extend {key}.protocols"
    for name in table.datasets:
        yield from _check_name(f"{key}.datasets", "data set", name, config.datasets)
        if name in config.datasets:
            yield from _check_split(config, key, name, table.split)
            yield from _check_combinations(config, key, name, table.posteriors)


def _check_combinations(config: Config, key: str, dataset: str, posteriors: Sequence[str]) -> Iterator[str]:
    """Imported embeddings and posteriors of kind imported can only be used together."""
    if not _has_stored_dataset(config, dataset):
        return
    is_imported = config.stored_dataset(dataset).kind == "embeddings"
    for name in posteriors:
        posterior = config.posteriors.get(name)
        if posterior is not None and (posterior.kind == "imported") != is_imported:
            yield (
                f"{key}: posterior {name!r} cannot be used with data set {dataset!r}; "
                "posteriors of kind imported and data sets of kind embeddings can only be used together"
            )


def _check_curve_figure(config: Config, key: str, figure: CurveFigure) -> Iterator[str]:
    yield from _check_name(f"{key}.table", "table", figure.table, config.tables)
    table = config.tables.get(figure.table)
    if table is None:
        return
    # An estimator that is removed from `estimators` disappears from figures as well, without further edits.
    available = table.estimators or ESTIMATORS
    for name in figure.estimators:
        if name not in available:
            yield f"{key}.estimators: table {figure.table!r} has no {name!r}; {did_you_mean(name, available)}"
    if figure.estimators and set(figure.estimators).isdisjoint(config.estimators):
        yield f"{key}.estimators: none of them is configured; add one of them to `estimators`"
    # Likewise those that need a bank, unless there is nothing else to draw.
    if set(figure.estimators) <= set(BANK_ESTIMATORS):
        yield from check_bank_exists(config, f"{key}.estimators", figure.estimators, table.datasets, [table.split])
    yield from _check_protocols(f"{key}.estimators", figure.estimators, [figure.protocol])
    for name, values in (
        ("protocol", table.protocols),
        ("binning", table.binnings),
        ("positives", table.positives),
    ):
        if getattr(figure, name) not in values:
            yield f"{key}.{name}: table {figure.table!r} has only {', '.join(values)}"


def _check_sensitivity_figure(config: Config, key: str, figure: SensitivityFigure) -> Iterator[str]:
    if not figure.posteriors():
        yield f"{key}: nothing to draw; name posteriors under `rates` or `passes`"
    yield from _check_estimators(config, f"{key}.estimator", [figure.estimator])
    yield from check_bank_exists(config, f"{key}.estimator", [figure.estimator], [figure.dataset], [figure.split])
    yield from _check_protocols(f"{key}.estimator", [figure.estimator], [figure.protocol])
    yield from _check_split(config, key, figure.dataset, figure.split)
    for name in figure.posteriors():
        yield from _check_name(key, "posterior", name, config.posteriors)
        posterior = config.posteriors.get(name)
        if posterior is None:
            continue
        if not isinstance(posterior, McDropout):
            yield f"{key}: posterior {name!r} has no rate and no passes; name posteriors of kind mc_dropout"
        elif figure.protocol not in posterior.protocols:
            yield f"{key}.protocol: posterior {name!r} is evaluated only under {', '.join(posterior.protocols)}"


def _check_thinning_figure(config: Config, key: str, figure: ThinningFigure) -> Iterator[str]:
    for name in figure.estimators:  # those that are not scored are left out, as in figures of a table
        yield from _check_name(f"{key}.estimators", "estimator", name, ESTIMATORS)
    yield from _check_name(f"{key}.posterior", "posterior", figure.posterior, config.posteriors)
    posterior = config.posteriors.get(figure.posterior)
    if posterior is not None and "corrected" not in posterior.protocols:
        yield f"{key}.posterior: {figure.posterior!r} is for another protocol than corrected"
    yield from _check_split(config, key, figure.dataset, figure.split)
    if figure.dataset in config.datasets:
        yield from _check_combinations(config, key, figure.dataset, [figure.posterior])
        if figure.val is not None:
            yield from _check_split(config, key, figure.dataset, figure.val)


def _check_bank_figure(config: Config, key: str, figure: BankFigure) -> Iterator[str]:
    yield from _check_name(f"{key}.posterior", "posterior", figure.posterior, config.posteriors)
    yield from _check_split(config, key, figure.dataset, figure.split)
    yield from _check_not_variant(config, f"{key}.dataset", figure.dataset)
    if figure.dataset not in config.datasets:
        return
    yield from _check_combinations(config, key, figure.dataset, [figure.posterior])
    if figure.foreign is None:
        return
    foreign = figure.foreign.dataset or figure.dataset
    yield from _check_split(config, f"{key}.foreign", foreign, figure.foreign.split)
    yield from _check_not_variant(config, f"{key}.foreign.dataset", foreign)
    if foreign in config.datasets and not is_comparable(config, figure.dataset, foreign):
        yield f"{key}.foreign: {foreign!r} and {figure.dataset!r} are not of the same encoder"
