"""Checks across sections of config.yaml: names that refer to nothing, and combinations that are impossible.

What depends on open_clip's list of models is checked in `encoder_checks`, so that reading the configuration never
imports torch.
"""

from collections.abc import Iterator

from overtop.config.adapters import AdapterSpec
from overtop.config.banks import BankSpec
from overtop.config.cascades import CascadeSpec
from overtop.config.datasets import ClassesDataset, KarpathyDataset, VariantDataset
from overtop.config.encoders import EncoderSpec
from overtop.config.finetuning import FinetuneSpec
from overtop.config.model import Config
from overtop.config.posteriors import Deterministic, PosteriorSpec
from overtop.config.reports import ReportSpec
from overtop.config.tables import TableSpec
from overtop.pipeline.answer_checks import check_answer, check_confidence_estimator
from overtop.pipeline.attack_checks import check_attacks
from overtop.pipeline.banks import check_bank_exists, check_bank_source
from overtop.pipeline.figure_checks import check_figure
from overtop.pipeline.name_checks import (
    check_combinations,
    check_estimators,
    check_extended,
    check_has_pairs,
    check_name,
    check_not_variant,
    check_protocols,
    check_split,
)
from overtop.pipeline.robustness_checks import check_study
from overtop.pipeline.transfer_checks import check_transfer
from overtop.terms import ESTIMATORS, IMPORTED


def cross_checks(config: Config) -> Iterator[str]:
    """One line per mistake, in the order of the sections."""
    for name in config.estimators:
        yield from check_name("estimators", "estimator", name, ESTIMATORS)
    yield from _check_bank(config)
    for name in config.ranking.slices:
        yield from check_name("ranking.slices", "data set", name, config.datasets)
    for name, dataset in config.datasets.items():
        if isinstance(dataset, KarpathyDataset):
            yield from _check_routes(config, name, dataset)
        if isinstance(dataset, ClassesDataset):
            for source in dataset.source_names():
                yield from check_name(f"datasets.{name}.files", "source", source, config.sources)
        if isinstance(dataset, VariantDataset):
            yield from _check_variant(config, f"datasets.{name}.of", dataset)
        else:
            yield from _check_own_bank(config, f"datasets.{name}.bank", name, dataset.bank)
    for name, encoder in config.encoders.items():
        yield from _check_training(config, name, encoder)
        yield from _check_finetuning(config, f"encoders.{name}.finetune", name, encoder.finetune)
    yield from check_attacks(config)
    for name, adapter in config.adapters.items():
        yield from _check_adapter(config, f"adapters.{name}", adapter)
    for name, posterior in config.posteriors.items():
        yield from _check_posterior(config, f"posteriors.{name}", posterior)
    for name, cascade in config.cascades.items():
        yield from _check_cascade(config, f"cascades.{name}", cascade)
    for name, table in config.tables.items():
        yield from _check_table(config, f"tables.{name}", table)
    for name, study in config.robustness.items():
        yield from check_study(config, name, study)
    for name, transfer in config.transfers.items():
        yield from check_transfer(config, f"transfers.{name}", transfer)
    for name, figure in config.figures.items():
        yield from check_figure(config, f"figures.{name}", figure)
    yield from check_confidence_estimator(config)
    for name, answer in config.answers.items():
        yield from check_answer(config, name, answer)
    for name, report in config.reports.items():
        yield from _check_report(config, f"reports.{name}", report)


def _check_bank(config: Config) -> Iterator[str]:
    """Lines if no data set can have the top-level bank."""
    bank = config.bank
    if bank is None:
        return
    if bank.dataset is not None:
        yield from check_split(config, "bank", bank.dataset, bank.split)
        yield from check_not_variant(config, "bank.dataset", bank.dataset)
        yield from check_has_pairs(config, "bank.dataset", bank.dataset)
    else:
        stored = [spec for spec in config.datasets.values() if not isinstance(spec, VariantDataset)]
        if splits := {split for spec in stored for split in spec.listed_splits()}:
            yield from check_name("bank.split", "data set with a split", bank.split, splits)


def _check_own_bank(config: Config, key: str, name: str, bank: BankSpec | None) -> Iterator[str]:
    """Lines if the bank of a data set does not exist, is of other embeddings, or only of evaluated queries."""
    if bank is None:
        return
    yield from check_bank_source(config, key, name, bank)
    evaluated = {table.split for table in config.tables.values() if name in table.datasets}
    if bank.dataset in (None, name) and evaluated == {bank.split}:
        yield f"{key}.split: {bank.split!r} is evaluated itself, and then the bank is not used; name another split"


def _check_variant(config: Config, key: str, variant: VariantDataset) -> Iterator[str]:
    stored = [name for name, spec in config.datasets.items() if not isinstance(spec, VariantDataset)]
    if isinstance(base := config.datasets.get(variant.of), VariantDataset):
        yield f"{key}: {variant.of!r} is a variant itself; name its base {base.of!r}"
    elif isinstance(base, ClassesDataset):
        yield f"{key}: {variant.of!r} has classes, whose gallery has no images; name a data set of captions"
    else:
        yield from check_name(key, "data set", variant.of, stored)


def _check_routes(config: Config, name: str, dataset: KarpathyDataset) -> Iterator[str]:
    for number, route in enumerate(dataset.routes):
        for source in filter(None, [route.annotations, *route.image_sources()]):
            yield from check_name(f"datasets.{name}.routes.{number}", "source", source, config.sources)


def _check_training(config: Config, name: str, encoder: EncoderSpec) -> Iterator[str]:
    if encoder.train is None:
        return
    for field in ("dataset", "classes"):
        key, dataset = f"encoders.{name}.train.{field}", getattr(encoder.train, field)
        if dataset is None:
            continue
        yield from check_name(key, "data set", dataset, config.datasets)
        yield from check_not_variant(config, key, dataset)
        yield from check_has_pairs(config, key, dataset)
        spec = config.datasets.get(dataset)
        if spec is not None and spec.kind == "embeddings":
            yield f"{key}: {dataset!r} holds embeddings, not images to train on"
        if spec is not None and encoder.train.classes and (spec.kind == "classes") != (field == "classes"):
            yield f"{key}: {dataset!r} is of kind {spec.kind}; `dataset` has the captions, `classes` the classes"


def _check_finetuning(config: Config, key: str, name: str, spec: FinetuneSpec | None) -> Iterator[str]:
    if spec is None:
        return
    yield from check_name(f"{key}.from", "encoder", spec.base, config.encoders)
    if spec.base in config.encoders and not config.encoders[name].architecture:
        yield f"{key}.from: {name!r} is fine-tuned from itself, perhaps through others; name an encoder with weights"
    for split in (spec.train, spec.val):
        yield from check_split(config, key, spec.dataset, split)
    yield from check_not_variant(config, f"{key}.dataset", spec.dataset)
    if spec.dataset in config.datasets and config.datasets[spec.dataset].kind not in ("classes", "variant"):
        yield f"{key}.dataset: {spec.dataset!r} has no classes to train on; name a data set of kind classes"
    if spec.train == spec.val:
        yield f"{key}.val: {spec.val!r} is trained on; name another split, which selects the best epoch"


def _check_adapter(config: Config, key: str, adapter: AdapterSpec) -> Iterator[str]:
    yield from check_name(f"{key}.encoder", "encoder", adapter.encoder, [*config.encoders, IMPORTED])
    dataset = config.datasets.get(adapter.dataset)
    if isinstance(dataset, VariantDataset):
        yield from check_not_variant(config, f"{key}.dataset", adapter.dataset)
        return
    if dataset is not None and dataset.kind == "classes":
        yield f"{key}.dataset: {adapter.dataset!r} has classes, not captions to train on"
    if dataset is not None and (dataset.kind == "embeddings") != (adapter.encoder == IMPORTED):
        yield f"{key}: encoder {IMPORTED!r} and data sets of kind embeddings can only be used together"
    yield from check_split(config, key, adapter.dataset, adapter.train)
    if dataset is not None:
        yield from check_split(config, key, adapter.dataset, adapter.val)


def _check_posterior(config: Config, key: str, posterior: PosteriorSpec) -> Iterator[str]:
    for encoder in posterior.encoders():
        yield from check_name(key, "encoder", encoder, [*config.encoders, IMPORTED])
    for encoder in dict.fromkeys(posterior.encoders()):
        if posterior.encoders().count(encoder) > 1:
            yield f"{key}.members: {encoder!r} is listed twice; name encoders that differ, such as in their seed"
    if posterior.adapter is None:
        return
    yield from check_name(f"{key}.adapter", "adapter", posterior.adapter, config.adapters)
    adapter = config.adapters.get(posterior.adapter)
    if adapter is not None and [adapter.encoder] != posterior.encoders():
        yield f"{key}.adapter: {posterior.adapter!r} was trained on encoder {adapter.encoder!r}, not on this one"


def _check_cascade(config: Config, key: str, cascade: CascadeSpec) -> Iterator[str]:
    for role in ("cheap", "expensive"):
        yield from check_name(f"{key}.{role}", "posterior", getattr(cascade, role), config.posteriors)
        estimator = getattr(cascade, f"{role}_estimator")
        yield from check_estimators(config, f"{key}.{role}_estimator", [estimator])
        yield from check_protocols(f"{key}.{role}_estimator", [estimator], [cascade.protocol])
    if isinstance(config.posteriors.get(cascade.expensive), Deterministic):
        yield f"{key}.expensive: {cascade.expensive!r} has one sample; name a posterior with several"
    for role in ("cheap", "expensive"):
        name, splits = f"{role}_estimator", [cascade.split, cascade.val]
        yield from check_bank_exists(config, f"{key}.{name}", [getattr(cascade, name)], [cascade.dataset], splits)
    yield from check_split(config, key, cascade.dataset, cascade.split)
    if cascade.dataset in config.datasets:
        yield from check_split(config, key, cascade.dataset, cascade.val)


def _check_table(config: Config, key: str, table: TableSpec) -> Iterator[str]:
    yield from check_estimators(config, f"{key}.estimators", table.estimators)
    yield from check_bank_exists(config, f"{key}.estimators", table.estimators, table.datasets, [table.split])
    yield from check_protocols(f"{key}.estimators", table.estimators, table.protocols)
    for name in table.posteriors:
        yield from check_name(f"{key}.posteriors", "posterior", name, config.posteriors)
        posterior = config.posteriors.get(name)
        if posterior is not None and set(table.protocols).isdisjoint(posterior.protocols):
            yield f"{key}: posterior {name!r} is for another protocol; remove it, or extend {key}.protocols"
    for name in table.datasets:
        yield from check_name(f"{key}.datasets", "data set", name, config.datasets)
        if name in config.datasets:
            yield from check_split(config, key, name, table.split)
            yield from check_has_pairs(config, f"{key}.datasets", name)
            yield from check_combinations(config, key, name, table.posteriors)
            if table.positives == ["extended"]:
                yield from check_extended(config, f"{key}.positives", name, table.split)


def _check_report(config: Config, key: str, report: ReportSpec) -> Iterator[str]:
    nouns = {"tables": "table", "robustness": "study", "answers": "answer"}
    if not any(getattr(report, section) for section in nouns):
        yield f"{key}: shows nothing; name tables, robustness studies or answers"
    for section, noun in nouns.items():
        names = getattr(report, section)
        for name in names:
            yield from check_name(f"{key}.{section}", noun, name, getattr(config, section))
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"{key}.{section}: {name!r} is listed more than once"
