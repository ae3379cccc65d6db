"""Where the temperature of a classifier's fitted probabilities comes from.

It is fitted once per encoder, on clean images of the validation split of the data set that the encoder was fine-tuned
on, never on the data set that is evaluated. An encoder that was not fine-tuned but is the base of others has theirs, so
that all are calibrated on the same images.
"""

from typing import NamedTuple

from overtop.config.encoders import EncoderSpec
from overtop.config.model import Config


class Fit(NamedTuple):
    """The split on which the temperature of a posterior is fitted, and the posterior, of clean images."""

    dataset: str
    split: str
    posterior: str


def find_fit(config: Config, posterior: str) -> Fit | None:
    """Return where the temperature of a posterior is fitted.

    Args:
        config: the whole configuration, with derived entries.
        posterior: its name; under an attack it has the temperature of clean images.

    Returns:
        None if its encoder has nothing to do with fine-tuning, or is the base of encoders with different data sets.
    """
    clean = posterior.partition("@")[0]
    encoders = config.posteriors[clean].encoders()
    splits = {split for encoder in encoders for split in _validation_splits(config.encoders, encoder)}
    return Fit(*splits.pop(), clean) if len(splits) == 1 else None


def _validation_splits(encoders: dict[str, EncoderSpec], name: str) -> set[tuple[str, str]]:
    """Data set and split that selected the epoch of an encoder, or those of the encoders that start from it."""
    own = encoders[name].finetune if name in encoders else None
    if own is not None:
        return {(own.dataset, own.val)}
    finetunings = (spec.finetune for spec in encoders.values())
    return {(spec.dataset, spec.val) for spec in finetunings if spec is not None and spec.base == name}
