"""`posteriors` in config.yaml: how samples of the embeddings are drawn.

Every posterior has `encoders()`, `passes` (how many samples to use of shards that may hold more; None for all),
`adapter` (a name under `adapters`, or None) and `view` (the attack that its images are seen under, or None). Posteriors
with a view are not declared: `NAME@ATTACK` is the posterior NAME under an entry of `attacks`.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr

from overtop.config.base import Model, Name
from overtop.terms import IMPORTED, Protocol


class _Posterior(Model):
    protocols: Annotated[list[Protocol], Field(min_length=1)] = Field(
        ["published", "corrected"], description="protocols that it may be evaluated under"
    )


class _Adaptable(_Posterior):
    adapter: Name | None = Field(None, description="one of `adapters`; adds the estimator probvlm to this posterior")


class _Attackable(_Adaptable):
    _view: str | None = PrivateAttr(None)

    @property
    def view(self) -> str | None:
        """The attack that its images are seen under; None for the clean images."""
        return self._view

    def attacked_by(self, attack: str) -> Self:
        """The same posterior of images under an attack, an entry of `attacks`."""
        attacked = self.model_copy()
        attacked._view = attack
        return attacked


class Deterministic(_Attackable):
    """One encoder, one sample."""

    kind: Literal["deterministic"]
    encoder: Name = Field(description="an entry of `encoders`")

    @property
    def passes(self) -> None:
        """All samples: the only one."""

    def encoders(self) -> list[str]:
        """The encoders whose shards make up the posterior."""
        return [self.encoder]


class McDropout(_Attackable):
    """One encoder, S passes with dropout on."""

    kind: Literal["mc_dropout"]
    encoder: Name = Field(description="an entry of `encoders`")
    rate: Annotated[float, Field(gt=0, lt=1)] = Field(0.2, description="dropout rate")
    passes: Annotated[int, Field(ge=2)] = Field(50, description="forward passes, S samples")

    def encoders(self) -> list[str]:
        """The encoders whose shards make up the posterior."""
        return [self.encoder]

    @property
    def draws(self) -> tuple[str, float]:
        """Encoder and rate: posteriors with the same pair differ only in their number of passes."""
        return self.encoder, self.rate


class Ensemble(_Posterior):
    """K encoders, one sample each."""

    kind: Literal["ensemble"]
    members: Annotated[list[Name], Field(min_length=2)] = Field(description="entries of `encoders`")

    @property
    def passes(self) -> None:
        """All samples: one per member."""

    @property
    def adapter(self) -> None:
        """None: an adapter belongs to one encoder."""

    @property
    def view(self) -> None:
        """None: an attack is on one encoder."""

    def encoders(self) -> list[str]:
        """The encoders whose shards make up the posterior."""
        return self.members


class Imported(_Adaptable):
    """The samples that a data set of kind `embeddings` came with."""

    kind: Literal["imported"]

    @property
    def passes(self) -> None:
        """All samples that were imported."""

    @property
    def view(self) -> None:
        """None: there are no images to attack."""

    def encoders(self) -> list[str]:
        """A single placeholder: the shards hold what was imported."""
        return [IMPORTED]


PosteriorSpec = Annotated[Deterministic | McDropout | Ensemble | Imported, Field(discriminator="kind")]
