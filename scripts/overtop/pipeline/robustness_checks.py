"""Checks of the entries of robustness studies in config.yaml against its other sections."""

from collections.abc import Iterator

from overtop.config.model import Config
from overtop.config.posteriors import Deterministic
from overtop.config.robustness import RobustnessSpec
from overtop.pipeline.name_checks import check_name, check_not_variant, check_split, has_stored_dataset
from overtop.pipeline.robustness import RESERVED_ENDINGS


def check_study(config: Config, name: str, spec: RobustnessSpec) -> Iterator[str]:
    """One line per mistake in the entry of a study."""
    key = f"robustness.{name}"
    if name.endswith(RESERVED_ENDINGS):
        yield f"{key}: a study's name cannot end in {', '.join(RESERVED_ENDINGS)}, as its files do; choose another name"
    for attack in spec.attacks:
        yield from check_name(f"{key}.attacks", "attack", attack, config.attacks)
    if spec.baseline is not None:
        yield from check_name(f"{key}.baseline", "model", spec.baseline, spec.models)
    for dataset in [*spec.datasets, *spec.multilabel]:
        yield from _check_dataset(config, key, dataset, spec)
    for model, encoders in spec.models.items():
        yield from _check_model(config, f"{key}.models.{model}", encoders)


def _check_model(config: Config, key: str, encoders: list[str]) -> Iterator[str]:
    for encoder in encoders:
        yield from check_name(key, "encoder", encoder, config.encoders)
        if encoder not in config.encoders:
            continue
        posterior = config.posteriors[encoder]
        if not isinstance(posterior, Deterministic) or posterior.encoder != encoder:
            yield f"{key}: {encoder!r} is a posterior of another kind or encoder as well; rename that posterior"
        elif "corrected" not in posterior.protocols:
            yield f"{key}: {encoder!r} is for another protocol than corrected; name an encoder with its own activation"
    if len(set(encoders)) < len(encoders):
        yield f"{key}: an encoder is listed twice; name encoders that differ in their seed"


def _check_dataset(config: Config, key: str, name: str, spec: RobustnessSpec) -> Iterator[str]:
    where = f"{key}.{'multilabel' if name in spec.multilabel else 'datasets'}"
    yield from check_split(config, where, name, spec.split)
    yield from check_not_variant(config, where, name)
    if name not in config.datasets or not has_stored_dataset(config, name):
        return
    dataset = config.stored_dataset(name)
    if dataset.kind == "embeddings":
        yield f"{where}: {name!r} holds embeddings, not images that can be attacked"
    has_several_labels = getattr(getattr(dataset, "files", None), "layout", None) == "coco"
    if has_several_labels and name in spec.datasets:
        yield f"{where}: the images of {name!r} have several classes; name it under {key}.multilabel instead"
    if name in spec.multilabel and dataset.kind != "classes":
        yield f"{where}: {name!r} is no data set of classes; name it under {key}.datasets"
