"""What no single entry can tell: names that refer to nothing, and combinations that cannot be."""

from collections.abc import Iterator

from overtop.config.adapters import AdapterSpec
from overtop.config.cascades import CascadeSpec
from overtop.config.datasets import KarpathyDataset, ShapesDataset
from overtop.config.encoders import EncoderSpec
from overtop.config.figures import CascadeFigure, CurveFigure, SensitivityFigure
from overtop.config.model import Config
from overtop.config.posteriors import Deterministic, Ensemble, McDropout, PosteriorSpec
from overtop.config.tables import TableSpec
from overtop.encoders.catalogue import check_encoder, contradicts_its_weights, own_activation
from overtop.errors import OvertopError, suggestion
from overtop.estimators.registry import ESTIMATORS
from overtop.terms import IMPORTED


def cross_checks(config: Config) -> Iterator[str]:
    """A line for every mistake, in the order of the sections."""
    for name in config.estimators:
        if name not in ESTIMATORS:
            yield f"estimators: no estimator {name!r}; {suggestion(name, ESTIMATORS)}"
    for name, dataset in config.datasets.items():
        if isinstance(dataset, KarpathyDataset):
            yield from _route_checks(config, name, dataset)
    for name, encoder in config.encoders.items():
        yield from _encoder_checks(config, name, encoder)
    for name, adapter in config.adapters.items():
        yield from _adapter_checks(config, name, adapter)
    for name, posterior in config.posteriors.items():
        yield from _posterior_checks(config, name, posterior)
    for name, cascade in config.cascades.items():
        yield from _cascade_checks(config, name, cascade)
    for name, table in config.tables.items():
        yield from _table_checks(config, name, table)
    for name, figure in config.figures.items():
        if isinstance(figure, CascadeFigure):
            if figure.cascade not in config.cascades:
                known = suggestion(figure.cascade, config.cascades)
                yield f"figures.{name}.cascade: no cascade {figure.cascade!r}; {known}"
        elif isinstance(figure, SensitivityFigure):
            yield from _sensitivity_checks(config, name, figure)
        else:
            yield from _curve_checks(config, name, figure)


def _route_checks(config: Config, name: str, dataset: KarpathyDataset) -> Iterator[str]:
    for number, route in enumerate(dataset.routes):
        for source in filter(None, [route.annotations, *route.places()]):
            if source not in config.sources:
                key = f"datasets.{name}.routes.{number}"
                yield f"{key}: no source {source!r}; {suggestion(source, config.sources)}"


def _encoder_checks(config: Config, name: str, encoder: EncoderSpec) -> Iterator[str]:
    try:
        check_encoder(name, encoder)
    except OvertopError as error:
        yield str(error)
    if encoder.train is not None:
        wanted, key = encoder.train.dataset, f"encoders.{name}.train.dataset"
        dataset = config.datasets.get(wanted)
        if dataset is None:
            yield f"{key}: no data set {wanted!r}; {suggestion(wanted, config.datasets)}"
        elif dataset.kind == "embeddings":
            yield f"{key}: {wanted!r} holds embeddings, not images to train on"


def _adapter_checks(config: Config, name: str, adapter: AdapterSpec) -> Iterator[str]:
    key, encoders = f"adapters.{name}", {*config.encoders, IMPORTED}
    if adapter.encoder not in encoders:
        yield f"{key}.encoder: no encoder {adapter.encoder!r}; {suggestion(adapter.encoder, encoders)}"
    if adapter.dataset not in config.datasets:
        yield f"{key}.dataset: no data set {adapter.dataset!r}; {suggestion(adapter.dataset, config.datasets)}"
        return
    if (config.datasets[adapter.dataset].kind == "embeddings") != (adapter.encoder == IMPORTED):
        yield f"{key}: encoder {IMPORTED!r} and data sets of kind embeddings go together, and with nothing else"
    for part in (adapter.train, adapter.val):
        yield from _split_checks(config, key, adapter.dataset, part)


def _posterior_checks(config: Config, name: str, posterior: PosteriorSpec) -> Iterator[str]:
    key = f"posteriors.{name}"
    for encoder in posterior.encoders():
        if encoder not in config.encoders and encoder != IMPORTED:
            yield f"{key}: no encoder {encoder!r}; {suggestion(encoder, config.encoders)}"
        elif "corrected" in posterior.protocols and _is_mismatched(config, encoder):
            spec = config.encoders[encoder]
            yield (
                f"{key}: encoder {encoder!r} has activation {spec.activation}, its weights {own_activation(spec)}; "
                f"remove encoders.{encoder}.activation, or set {key}.protocols to [published], which repeats that"
            )
    adapter = None if isinstance(posterior, Ensemble) else posterior.adapter
    if adapter is None:
        return
    if adapter not in config.adapters:
        yield f"{key}.adapter: no adapter {adapter!r}; {suggestion(adapter, config.adapters)}"
    elif [config.adapters[adapter].encoder] != posterior.encoders():
        yield f"{key}.adapter: {adapter!r} learned from encoder {config.adapters[adapter].encoder!r}, not from this one"


def _is_mismatched(config: Config, encoder: str) -> bool:
    try:
        return encoder != IMPORTED and contradicts_its_weights(config.encoders[encoder])
    except (OvertopError, StopIteration):  # an architecture or tag that open_clip has not: said above
        return False


def _cascade_checks(config: Config, name: str, cascade: CascadeSpec) -> Iterator[str]:
    key = f"cascades.{name}"
    for which in ("cheap", "expensive"):
        posterior, estimator = getattr(cascade, which), getattr(cascade, f"{which}_estimator")
        if posterior not in config.posteriors:
            yield f"{key}.{which}: no posterior {posterior!r}; {suggestion(posterior, config.posteriors)}"
        if estimator not in config.estimators:
            known = suggestion(estimator, config.estimators)
            yield f"{key}.{which}_estimator: {estimator!r} is not configured; {known}"
    expensive = config.posteriors.get(cascade.expensive)
    if isinstance(expensive, Deterministic):
        yield f"{key}.expensive: {cascade.expensive!r} has one sample; name a posterior of several"
    if cascade.dataset not in config.datasets:
        yield f"{key}.dataset: no data set {cascade.dataset!r}; {suggestion(cascade.dataset, config.datasets)}"
        return
    for part in (cascade.split, cascade.val):
        yield from _split_checks(config, key, cascade.dataset, part)


def _split_checks(config: Config, key: str, dataset: str, split: str) -> Iterator[str]:
    """Whether a data set can have a split, as far as its entry tells."""
    spec = config.datasets[dataset]
    splits = spec.images if isinstance(spec, ShapesDataset) else getattr(spec, "splits", {split: ""})
    if split not in splits:
        yield f"{key}.split: data set {dataset!r} has no split {split!r}; {suggestion(split, splits)}"


def _table_checks(config: Config, name: str, table: TableSpec) -> Iterator[str]:
    key = f"tables.{name}"
    for estimator in table.estimators:
        if estimator not in config.estimators:
            yield f"{key}.estimators: {estimator!r} is not configured; {suggestion(estimator, config.estimators)}"
    for posterior in table.posteriors:
        if posterior not in config.posteriors:
            yield f"{key}.posteriors: no posterior {posterior!r}; {suggestion(posterior, config.posteriors)}"
        elif set(table.protocols).isdisjoint(config.posteriors[posterior].protocols):
            yield f"{key}: posterior {posterior!r} is for another protocol; remove it, or widen {key}.protocols"
    for dataset in table.datasets:
        if dataset not in config.datasets:
            yield f"{key}.datasets: no data set {dataset!r}; {suggestion(dataset, config.datasets)}"
            continue
        spec = config.datasets[dataset]
        yield from _split_checks(config, key, dataset, table.split)
        for posterior in filter(config.posteriors.__contains__, table.posteriors):
            if (config.posteriors[posterior].kind == "imported") != (spec.kind == "embeddings"):
                yield (
                    f"{key}: posterior {posterior!r} does not go with data set {dataset!r}; a data set of kind "
                    "embeddings and a posterior of kind imported go together, and with nothing else"
                )


def _curve_checks(config: Config, name: str, figure: CurveFigure) -> Iterator[str]:
    key = f"figures.{name}"
    if figure.table not in config.tables:
        yield f"{key}.table: no table {figure.table!r}; {suggestion(figure.table, config.tables)}"
        return
    table = config.tables[figure.table]
    # What `estimators` leaves out for all is left out of figures, too: one key says it.
    offered = table.estimators or list(ESTIMATORS)
    for estimator in figure.estimators:
        if estimator not in offered:
            yield f"{key}.estimators: table {figure.table!r} has no {estimator!r}; {suggestion(estimator, offered)}"
    if figure.estimators and not set(figure.estimators) & set(config.estimators):
        yield f"{key}.estimators: none of them is configured; add one of them to `estimators`"
    for what, held in (("protocol", table.protocols), ("binning", table.binnings), ("positives", table.positives)):
        if getattr(figure, what) not in held:
            yield f"{key}.{what}: table {figure.table!r} holds only {', '.join(held)}"


def _sensitivity_checks(config: Config, name: str, figure: SensitivityFigure) -> Iterator[str]:
    key = f"figures.{name}"
    if not figure.posteriors():
        yield f"{key}: nothing to draw; name posteriors under `rates` or `passes`"
    if figure.estimator not in config.estimators:
        known = suggestion(figure.estimator, config.estimators)
        yield f"{key}.estimator: {figure.estimator!r} is not configured; {known}"
    if figure.dataset not in config.datasets:
        yield f"{key}.dataset: no data set {figure.dataset!r}; {suggestion(figure.dataset, config.datasets)}"
    else:
        yield from _split_checks(config, key, figure.dataset, figure.split)
    for posterior in figure.posteriors():
        spec = config.posteriors.get(posterior)
        if spec is None:
            yield f"{key}: no posterior {posterior!r}; {suggestion(posterior, config.posteriors)}"
        elif not isinstance(spec, McDropout):
            yield f"{key}: posterior {posterior!r} has no rate and no passes; name posteriors of kind mc_dropout"
        elif figure.protocol not in spec.protocols:
            yield f"{key}.protocol: posterior {posterior!r} is evaluated under {', '.join(spec.protocols)} only"
