"""config.yaml as one typed model: the defaults, the checks and the editor's schema come from here."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from overtop.adapters.spec import AdapterSpec
from overtop.encoders.sampling import Sampling
from overtop.encoders.spec import EncoderSpec
from overtop.estimators import ESTIMATORS
from overtop.estimators.evidence import DIRICHLET, SOFTMAX
from overtop.terms import Binning, Positives, Protocol

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Count = Annotated[int, Field(ge=1)]

IMPORTED = "imported"  # the encoder that stands for "somebody else's" in paths


class Model(BaseModel):
    """Base of every section: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Counts(Model):
    """How large a split is declared to be; `split` proves it."""

    images: Count
    captions: Count


class Shards(Model):
    """In how many files the embeddings of each modality are written: the unit of parallel and repeated work."""

    image: Count = 1
    text: Count = 1


class _Dataset(Model):
    shards: Shards = Shards()
    on_error: Literal["fail", "skip"] = Field("fail", description="what an unreadable image or NaN embedding does")
    expect: dict[Name, Counts] = Field({}, description="declared size of splits; another size is an error")


class ShapesSpec(_Dataset):
    """Drawn scenes whose captions' true positives are known by construction."""

    kind: Literal["shapes"]
    images: dict[Name, Count] = Field({"train": 4000, "val": 400, "test": 400}, description="images of each split")
    image_size: Annotated[int, Field(ge=16)] = 48


class KarpathySpec(_Dataset):
    """Photographs with captions in the Karpathy splits."""

    kind: Literal["karpathy"]
    source: str = Field(description="folder inside the mirror, or an absolute path")
    annotations: str = Field(
        "captions.jsonl", description="JSON lines, or Karpathy's .json, inside the source; may be gzipped"
    )
    images: str = Field("images", description="folder of the images inside the source")
    captions_per_image: Count | Literal["all"] = 5
    extended: list[Literal["cxc", "eccv"]] = Field(
        [], description="known positives of COCO's test split: CrissCrossed Captions, ECCV Caption, or both together"
    )
    judgments: dict[Literal["expert", "crowd"], str] = Field(
        {}, description="files inside the source where people judge further pairs, in the form of Flickr8k's"
    )


class TableSpec(_Dataset):
    """Your own images and a table of captions."""

    kind: Literal["table"]
    source: str = Field(description="folder inside the mirror, or an absolute path")
    table: str = Field("captions.csv", description="CSV or parquet with columns image and caption, inside the source")


class EmbeddingsSpec(_Dataset):
    """Embeddings made elsewhere; no encoder runs."""

    kind: Literal["embeddings"]
    splits: dict[Name, str] = Field(
        description="for each split a file or folder inside the mirror, or an absolute path"
    )


DatasetSpec = Annotated[ShapesSpec | KarpathySpec | TableSpec | EmbeddingsSpec, Field(discriminator="kind")]


class _Adapted(Model):
    adapter: Name | None = Field(None, description="one of `adapters`; gives this posterior the estimator probvlm")


class Deterministic(_Adapted):
    """One encoder, one sample."""

    kind: Literal["deterministic"]
    encoder: Name

    def encoders(self) -> list[str]:
        """The encoders whose shards make up the posterior."""
        return [self.encoder]

    def sampling(self) -> str:
        """The `sampling` of the shards' paths."""
        return "deterministic"


class McDropout(_Adapted):
    """One encoder, S passes with dropout on."""

    kind: Literal["mc_dropout"]
    encoder: Name
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.2
    passes: Annotated[int, Field(ge=2)] = 50

    def encoders(self) -> list[str]:
        """The encoders whose shards make up the posterior."""
        return [self.encoder]

    def sampling(self) -> str:
        """The `sampling` of the shards' paths."""
        return str(Sampling.dropout(self.rate, self.passes))


class Ensemble(Model):
    """K encoders, one sample each."""

    kind: Literal["ensemble"]
    members: Annotated[list[Name], Field(min_length=2)]

    def encoders(self) -> list[str]:
        """The encoders whose shards make up the posterior."""
        return self.members

    def sampling(self) -> str:
        """The `sampling` of the shards' paths."""
        return "deterministic"


class Imported(_Adapted):
    """The samples that a data set of kind `embeddings` came with."""

    kind: Literal["imported"]

    def encoders(self) -> list[str]:
        """A single stand-in: the shards hold what was imported."""
        return [IMPORTED]

    def sampling(self) -> str:
        """The `sampling` of the shards' paths."""
        return "samples"


PosteriorSpec = Annotated[Deterministic | McDropout | Ensemble | Imported, Field(discriminator="kind")]


class BatchSizes(Model):
    """Items in one forward pass. Part of the result: the masks of MC dropout are drawn batch by batch."""

    image: Count = 64
    text: Count = 256


class EmbeddingSpec(Model):
    """How shards are computed and stored."""

    batch_size: BatchSizes = BatchSizes()
    many_samples_dtype: Literal["float32", "float16"] = Field(
        "float32", description="storage of posteriors with several samples; a single sample is always float32"
    )


class RankingSpec(Model):
    """What is kept of every ranking, and how its items are found."""

    top: Annotated[int, Field(ge=10)] = Field(50, description="ids and scores kept per query")
    search: Literal["stream", "flat", "hnsw"] = Field(
        "stream", description="stream: the exact pass; flat, hnsw: FAISS, for galleries too large for it"
    )


class TemperatureSpec(Model):
    """Temperatures of the softmax over the gallery."""

    softmax: Annotated[float, Field(gt=0)] | Literal["fitted"] = Field(
        SOFTMAX, description="of entropy, max_softmax and energy; `fitted`: the likeliest one on `fit_split`"
    )
    dirichlet: Annotated[float, Field(gt=0)] = Field(DIRICHLET, description="of the Dirichlet estimators")
    fit_split: Name = "val"


class RadiusSpec(Model):
    """The walk of adversarial_pgd."""

    step: Annotated[float, Field(gt=0)] = 0.025
    iterations: Count = 50


class RejectionSteps(Model):
    """How many queries the published protocol removes at a time, by direction."""

    t2i: Count = 500
    i2t: Count = 100


class BootstrapSpec(Model):
    """Intervals: queries are drawn again, all of an image together."""

    resamples: Annotated[int, Field(ge=100)] = 2000
    level: Annotated[float, Field(gt=0.5, lt=1)] = Field(0.95, description="of every interval, and of the tests")
    reference: Name = Field("top1_similarity", description="the estimator that all others are compared with")


class EvaluationSpec(Model):
    """Calibration, rejection, selective risk, and their intervals."""

    bins: Annotated[int, Field(ge=2)] = 10
    rejection_step: RejectionSteps = RejectionSteps()
    rejection_points: Annotated[int, Field(ge=2)] = Field(50, description="points of a curve under `corrected`")
    precision: Annotated[float, Field(gt=0, lt=1)] = Field(0.9, description="R@1 at which coverage is read off")
    bootstrap: BootstrapSpec = BootstrapSpec()


class OperatingSpec(Model):
    """Thresholds that are chosen on one split and kept on another."""

    val: Name = Field("val", description="split that the threshold is chosen on")
    precisions: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(min_length=1)] = [0.8, 0.9, 0.95]
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(0.95, description="that the precision is kept")


class CascadeDecl(Model):
    """One `results/cascades/NAME.csv`: a cheap estimator for all queries, an expensive posterior for some."""

    dataset: Name
    cheap: Name = Field(description="posterior of the cheap estimator")
    expensive: Name = Field(description="posterior of several samples")
    cheap_estimator: Name = "adversarial_exact"
    expensive_estimator: Name = "top1_consistency"
    protocol: Protocol = "corrected"
    split: Name = "test"
    val: Name = Field("val", description="split that puts both uncertainties on one scale")
    errors: list[Annotated[float, Field(ge=0, lt=1)]] = Field(
        [0, 0.001, 0.01, 0.05, 0.1],
        description="chances to be wrong at which a vote is taken for settled; 0: it cannot change",
    )


class TableDecl(Model):
    """One `results/tables/NAME.csv`: data sets x posteriors x the rest."""

    datasets: Annotated[list[Name], Field(min_length=1)]
    posteriors: Annotated[list[Name], Field(min_length=1)]
    split: Name = "test"
    estimators: list[Name] = Field([], description="empty: all that are configured")
    protocols: Annotated[list[Protocol], Field(min_length=1)] = ["published", "corrected"]
    binnings: Annotated[list[Binning], Field(min_length=1)] = ["equal_width", "equal_count"]
    positives: Annotated[list[Positives], Field(min_length=1)] = ["labelled", "extended"]


class CurveFigure(Model):
    """One `results/figures/NAME.pdf`, `.png` and `.csv`, drawn of what a table holds."""

    kind: Literal["calibration", "rejection"]
    table: Name
    estimators: list[Name] = Field([], description="empty: all of the table")
    protocol: Protocol = "corrected"
    binning: Binning = "equal_width"
    positives: Positives = "labelled"


class CascadeFigure(Model):
    """One `results/figures/NAME.pdf`, `.png` and `.csv`, drawn of a cascade."""

    kind: Literal["cascade"]
    cascade: Name


FigureDecl = Annotated[CurveFigure | CascadeFigure, Field(discriminator="kind")]


class Config(Model):
    """The whole of config.yaml."""

    seed: int = 0
    mirror: str | None = Field(None, description="folder that holds the sources of data sets")
    targets: Annotated[list[str], Field(min_length=1)] = Field(
        ["results/tables/demo.csv"], description="what `snakemake` and `dvc repro` build when nothing is named"
    )
    estimators: Annotated[list[Name], Field(min_length=1)] = list(ESTIMATORS)
    embedding: EmbeddingSpec = EmbeddingSpec()
    ranking: RankingSpec = RankingSpec()
    temperature: TemperatureSpec = TemperatureSpec()
    radius: RadiusSpec = RadiusSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    operating: OperatingSpec = OperatingSpec()
    datasets: dict[Name, DatasetSpec]
    encoders: dict[Name, EncoderSpec] = {}
    adapters: dict[Name, AdapterSpec] = {}
    posteriors: dict[Name, PosteriorSpec]
    tables: dict[Name, TableDecl]
    figures: dict[Name, FigureDecl] = {}
    cascades: dict[Name, CascadeDecl] = {}

    @field_validator("encoders")
    @classmethod
    def _imported_is_taken(cls, encoders: dict[str, EncoderSpec]) -> dict[str, EncoderSpec]:
        if IMPORTED in encoders:
            raise ValueError(f"{IMPORTED!r} stands for embeddings made elsewhere; choose another name")
        return encoders
