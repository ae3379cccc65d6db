"""Entries that follow from the declared ones.

What fine-tuned encoders inherit, posteriors without an entry, and the data sets of new queries and their galleries.
"""

from overtop.config.answers import Items
from overtop.config.datasets import ImagesDataset, TextsDataset
from overtop.config.encoders import EncoderSpec
from overtop.config.model import Config
from overtop.config.posteriors import Deterministic, McDropout, PosteriorSpec
from overtop.pipeline.answers import ROLES, derived_name


def derive_entries(config: Config) -> Config:
    """Add what follows from the declared entries.

    - A fine-tuned encoder has the architecture, activation and preprocessing of its base.
    - Every encoder is a deterministic posterior of its own name, unless `posteriors` declares that name.
    - `NAME@ATTACK` is a posterior of one encoder whose images are seen under an entry of `attacks`.
    - The folders of images and tables of texts of an answer are its data sets `NAME.queries` and `NAME.gallery`.

    Args:
        config: the declared entries. A base that does not exist, or is its own base, is reported by the checks.
    """
    encoders = {name: _inherit(config.encoders, name) for name in config.encoders}
    posteriors: dict[str, PosteriorSpec] = {name: _own_posterior(name, spec) for name, spec in encoders.items()}
    posteriors |= config.posteriors
    attacked = {
        f"{name}@{attack}": posterior.attacked_by(attack)
        for name, posterior in posteriors.items()
        if isinstance(posterior, Deterministic | McDropout)
        for attack in config.attacks
    }
    datasets = {
        derived_name(name, role): dataset
        for name, answer in config.answers.items()
        for role in ROLES
        if (dataset := derived_dataset(getattr(answer, role))) is not None
    }
    return config.model_copy(
        update={
            "encoders": encoders,
            "posteriors": posteriors | attacked,
            "datasets": datasets | config.datasets,
        }
    )


def derived_dataset(items: Items) -> ImagesDataset | TextsDataset | None:
    """The data set of a folder of images or a table of texts; None for items that have one, or are embedded already."""
    if items.folder is not None:
        return ImagesDataset(kind="images", source=items.folder, shards=items.shards, on_error=items.on_error)
    if items.table is not None:
        return TextsDataset(kind="texts", source=items.table, shards=items.shards)
    return None


def _inherit(encoders: dict[str, EncoderSpec], name: str) -> EncoderSpec:
    spec = base = encoders[name]
    seen = {name}
    while base.finetune is not None:
        if base.finetune.base in seen or base.finetune.base not in encoders:
            return spec
        seen.add(base.finetune.base)
        base = encoders[base.finetune.base]
    return spec.finetuned_from(base) if spec.finetune else spec


def _own_posterior(name: str, spec: EncoderSpec) -> Deterministic:
    """The posterior of one encoder; one with an activation that is not its own repeats the released code."""
    protocols = ["published", "corrected"] if spec.activation == "own" else ["published"]
    return Deterministic(kind="deterministic", encoder=name, protocols=protocols)
