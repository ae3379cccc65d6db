"""Entries that follow from the declared ones: what fine-tuned encoders inherit, and posteriors without an entry."""

from overtop.config.encoders import EncoderSpec
from overtop.config.model import Config
from overtop.config.posteriors import Deterministic, McDropout, PosteriorSpec


def derive_entries(config: Config) -> Config:
    """Add what follows from the declared entries.

    - A fine-tuned encoder has the architecture, activation and preprocessing of its base.
    - Every encoder is a deterministic posterior of its own name, unless `posteriors` declares that name.
    - `NAME@ATTACK` is a posterior of one encoder whose images are seen under an entry of `attacks`.

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
    return config.model_copy(update={"encoders": encoders, "posteriors": posteriors | attacked})


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
