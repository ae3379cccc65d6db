"""`posteriors` in config.yaml: how samples of the embeddings are drawn."""

from typing import Annotated, Literal

from pydantic import Field

from overtop.config.base import Model, Name
from overtop.terms import IMPORTED, Protocol


class _Posterior(Model):
    protocols: Annotated[list[Protocol], Field(min_length=1)] = Field(
        ["published", "corrected"], description="that it may be evaluated under"
    )


class _Adapted(_Posterior):
    adapter: Name | None = Field(None, description="one of `adapters`; gives this posterior the estimator probvlm")


class Deterministic(_Adapted):
    """One encoder, one sample."""

    kind: Literal["deterministic"]
    encoder: Name

    def encoders(self) -> list[str]:
        """The encoders whose shards make up the posterior."""
        return [self.encoder]


class McDropout(_Adapted):
    """One encoder, S passes with dropout on."""

    kind: Literal["mc_dropout"]
    encoder: Name
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.2
    passes: Annotated[int, Field(ge=2)] = 50

    def encoders(self) -> list[str]:
        """The encoders whose shards make up the posterior."""
        return [self.encoder]

    @property
    def draws(self) -> tuple[str, float]:
        """What decides each of its passes: posteriors alike in this differ in the number of passes alone."""
        return self.encoder, self.rate


class Ensemble(_Posterior):
    """K encoders, one sample each."""

    kind: Literal["ensemble"]
    members: Annotated[list[Name], Field(min_length=2)]

    def encoders(self) -> list[str]:
        """The encoders whose shards make up the posterior."""
        return self.members


class Imported(_Adapted):
    """The samples that a data set of kind `embeddings` came with."""

    kind: Literal["imported"]

    def encoders(self) -> list[str]:
        """A single stand-in: the shards hold what was imported."""
        return [IMPORTED]


PosteriorSpec = Annotated[Deterministic | McDropout | Ensemble | Imported, Field(discriminator="kind")]
