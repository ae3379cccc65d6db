"""config.yaml as one typed model: the defaults, the checks and the editor's schema come from here."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from overtop.adapters.spec import AdapterSpec
from overtop.downloads.spec import SourceSpec
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
    on_error: Literal["fail", "skip"] = Field(
        "fail", description="what an unreadable or missing image or NaN embedding does"
    )
    expect: dict[Name, Counts] = Field({}, description="declared size of splits; another size is an error")
    benchmark: Literal["coco", "flickr30k"] | None = Field(
        None, description="the published figures that apply to its test split"
    )


class ShapesSpec(_Dataset):
    """Drawn scenes whose captions' true positives are known by construction."""

    kind: Literal["shapes"]
    images: dict[Name, Count] = Field({"train": 4000, "val": 400, "test": 400}, description="images of each split")
    image_size: Annotated[int, Field(ge=16)] = 48


class _Route(Model):
    """One way to the files of a data set; the first that serves a split and succeeds is taken."""

    annotations: Name | None = Field(None, description="one of `sources`: Karpathy's JSON, or a zip that holds it")
    member: str = Field("", description="the JSON inside that zip")
    splits: list[Name] | None = Field(None, description="splits to be had this way; default: all")


class ArchivesRoute(_Route):
    """Annotations, and zips that hold the images."""

    kind: Literal["archives"]
    annotations: Name = Field(description="one of `sources`: Karpathy's JSON, or a zip that holds it")
    images: Annotated[list[Name], Field(min_length=1)] = Field(description="zips among `sources`")

    def places(self) -> list[str]:
        """The sources of its images."""
        return self.images


class ShardsRoute(_Route):
    """webdataset shards: SPLIT/nshards.txt and SPLIT/0.tar, 1.tar, ... with KEY.jpg and KEY.txt, a caption a line."""

    kind: Literal["shards"]
    shards: Name = Field(description="one of `sources`: a repository on the hub, or a folder")

    def places(self) -> list[str]:
        """The source of its images."""
        return [self.shards]


Route = Annotated[ArchivesRoute | ShardsRoute, Field(discriminator="kind")]


class KarpathySpec(_Dataset):
    """Photographs with captions in the Karpathy splits."""

    kind: Literal["karpathy"]
    source: str | None = Field(None, description="folder inside the mirror, or an absolute path; comes before `routes`")
    annotations: str = Field(
        "captions.jsonl", description="JSON lines, or Karpathy's .json, inside the source; may be gzipped"
    )
    images: str = Field("images", description="folder of the images inside the source")
    routes: list[Route] = Field([], description="where else the files are to be had, tried in order")
    captions_per_image: Count | Literal["all"] = 5
    extended: list[Literal["cxc", "eccv"]] = Field(
        [], description="known positives of COCO's test split: CrissCrossed Captions, ECCV Caption, or both together"
    )
    judgments: dict[Literal["expert", "crowd"], str] = Field(
        {}, description="files inside the source where people judge further pairs, in the form of Flickr8k's"
    )

    @model_validator(mode="after")
    def _some_way(self) -> "KarpathySpec":
        if self.source is None and not self.routes:
            raise ValueError("no way to its files; give `source` (a folder) or `routes`")
        return self


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


class BatchSizes(Model):
    """Items in one forward pass. Part of the result: the masks of MC dropout are drawn batch by batch."""

    image: Count = 64
    text: Count = 256


class EmbeddingSpec(Model):
    """How shards are computed and stored."""

    batch_size: BatchSizes = BatchSizes()
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="of the network's arithmetic: full, or automatic mixed precision"
    )
    compile: bool = Field(False, description="torch.compile, on a GPU: minutes to start, then faster")
    passes_per_shard: Count = Field(50, description="a shard holds at most so many passes of MC dropout")
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

    reference: Literal["table1", "table2"] | None = Field(None, description="the paper's table to stand beside it")

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


class SensitivityFigure(Model):
    """One `results/figures/NAME.pdf`, `.png` and `.csv`: what the rate and the number of passes of MC dropout do."""

    kind: Literal["sensitivity"]
    dataset: Name
    estimator: Name = "top1_consistency"
    rates: list[Name] = Field([], description="posteriors that differ in their rate")
    passes: list[Name] = Field([], description="posteriors that differ in their passes")
    split: Name = "test"
    protocol: Protocol = "corrected"
    binning: Binning = "equal_width"
    positives: Positives = "labelled"

    def posteriors(self) -> list[str]:
        """All that are drawn, each once."""
        return list(dict.fromkeys([*self.rates, *self.passes]))


FigureDecl = Annotated[CurveFigure | CascadeFigure | SensitivityFigure, Field(discriminator="kind")]


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
    sources: dict[Name, SourceSpec] = Field({}, description="where files are to be had; see workflow/sources.yaml")
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
