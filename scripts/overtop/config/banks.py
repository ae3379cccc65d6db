"""`bank` in config.yaml: the unlabelled queries that tell how popular each gallery item is."""

from pydantic import Field

from overtop.config.base import Count, Model, Name


class BankSpec(Model):
    """Unlabelled queries of a split that is not evaluated; in `t2i` its captions are used, in `i2t` its images."""

    dataset: Name | None = Field(None, description="data set of the queries; default: the ranked one")
    split: Name = Field(description="split of the queries; must not be the evaluated one")
    size: Count | None = Field(None, description="queries drawn per direction; default: all")
    seed: int = Field(0, description="seed of the draw")
