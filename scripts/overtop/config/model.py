"""The whole of config.yaml as one typed model: the defaults and the editor's schema come from here."""

from typing import Annotated

from pydantic import Field, field_validator

from overtop.config.adapters import AdapterSpec
from overtop.config.answers import AnswerSpec
from overtop.config.attacks import AttackSpec
from overtop.config.banks import BankSpec
from overtop.config.base import Model, Name
from overtop.config.cascades import CascadeSpec
from overtop.config.datasets import DatasetSpec, StoredDatasetSpec, VariantDataset
from overtop.config.embedding import EmbeddingSpec
from overtop.config.encoders import EncoderSpec
from overtop.config.evaluation import EvaluationSpec
from overtop.config.figures import FigureSpec
from overtop.config.operating import OperatingSpec
from overtop.config.posteriors import PosteriorSpec
from overtop.config.radius import RadiusSpec
from overtop.config.ranking import RankingSpec
from overtop.config.reports import ReportSpec
from overtop.config.robustness import RobustnessSpec
from overtop.config.sources import SourceSpec
from overtop.config.tables import TableSpec
from overtop.config.temperature import TemperatureSpec
from overtop.config.transfers import TransferSpec
from overtop.terms import ESTIMATORS, IMPORTED


class Config(Model):
    """The whole of config.yaml."""

    seed: int = Field(0, description="seed of the run: bootstrap, samples of queries, masks of MC dropout")
    mirror: str | None = Field(None, description="folder with the sources of data sets; relative sources are inside it")
    targets: Annotated[list[str], Field(min_length=1)] = Field(
        ["results/tables/demo.csv"], description="default targets of `snakemake` and `dvc repro`"
    )
    estimators: Annotated[list[Name], Field(min_length=1)] = Field(
        list(ESTIMATORS), description="estimators to compute; default: all"
    )
    bank: BankSpec | None = Field(
        None, description="bank of each data set whose entry lists its split (`bank` in that entry replaces it)"
    )
    embedding: EmbeddingSpec = Field(EmbeddingSpec(), description="how embeddings are computed and stored")
    ranking: RankingSpec = Field(RankingSpec(), description="how items are ranked")
    temperature: TemperatureSpec = Field(TemperatureSpec(), description="temperatures of the softmax over the gallery")
    radius: RadiusSpec = Field(RadiusSpec(), description="the adversarial radius of protocol `published`")
    evaluation: EvaluationSpec = Field(EvaluationSpec(), description="measures, intervals and tests")
    operating: OperatingSpec = Field(OperatingSpec(), description="confidence models and thresholds")
    sources: dict[Name, SourceSpec] = Field({}, description="where to download files from; see workflow/sources.yaml")
    datasets: dict[Name, DatasetSpec] = Field(description="data sets with their splits")
    encoders: dict[Name, EncoderSpec] = Field({}, description="models, trained here or downloaded")
    attacks: dict[Name, AttackSpec] = Field({}, description="attacks on images")
    adapters: dict[Name, AdapterSpec] = Field({}, description="ProbVLM adapters")
    posteriors: dict[Name, PosteriorSpec] = Field(
        description="how samples of the embeddings are drawn; each encoder is one under its own name"
    )
    tables: dict[Name, TableSpec] = Field(description="tables of results")
    figures: dict[Name, FigureSpec] = Field({}, description="figures of results")
    cascades: dict[Name, CascadeSpec] = Field({}, description="cheap estimators with an expensive fallback")
    robustness: dict[Name, RobustnessSpec] = Field({}, description="studies of attacked models")
    transfers: dict[Name, TransferSpec] = Field({}, description="studies of confidence models on other data")
    answers: dict[Name, AnswerSpec] = Field({}, description="new queries to be answered")
    reports: dict[Name, ReportSpec] = Field({}, description="pages of results, for a browser")

    @field_validator("encoders")
    @classmethod
    def _check_entries(cls, encoders: dict[str, EncoderSpec]) -> dict[str, EncoderSpec]:
        if IMPORTED in encoders:
            raise ValueError(f"{IMPORTED!r} is reserved for imported embeddings; choose another name")
        for name, spec in encoders.items():
            given = spec.model_fields_set - {"finetune"}
            if spec.finetune is not None and given:
                raise ValueError(f"{name}: a fine-tuned encoder has what its base has; remove `{min(given)}`")
        return encoders

    def base_of(self, dataset: str) -> str:
        """The data set whose files and embeddings a data set has: its base if it is a variant, otherwise itself."""
        spec = self.datasets[dataset]
        return spec.of if isinstance(spec, VariantDataset) else dataset

    def stored_dataset(self, dataset: str) -> StoredDatasetSpec:
        """The entry of `base_of(dataset)`."""
        spec = self.datasets[self.base_of(dataset)]
        assert not isinstance(spec, VariantDataset), "the checks of the configuration reject a variant of a variant"
        return spec
