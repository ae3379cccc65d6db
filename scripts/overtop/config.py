"""config.yaml as one typed model: the defaults, the checks, the editor's schema and the docs come from here."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from overtop.encoders.catalogue import check_encoder
from overtop.encoders.sampling import Sampling
from overtop.encoders.spec import EncoderSpec
from overtop.errors import OvertopError, suggestion
from overtop.estimators import ESTIMATORS
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
    annotations: str = Field("captions.jsonl", description="JSON lines, or Karpathy's .json, inside the source")
    images: str = Field("images", description="folder of the images inside the source")
    captions_per_image: Count | Literal["all"] = 5


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


class Deterministic(Model):
    """One encoder, one sample."""

    kind: Literal["deterministic"]
    encoder: Name

    def encoders(self) -> list[str]:
        """The encoders whose shards make up the posterior."""
        return [self.encoder]

    def sampling(self) -> str:
        """The `sampling` of the shards' paths."""
        return "deterministic"


class McDropout(Model):
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


class Imported(Model):
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
    """What is kept of every ranking."""

    top: Annotated[int, Field(ge=10)] = Field(50, description="ids and scores kept per query")


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


class TableDecl(Model):
    """One `results/tables/NAME.csv`: data sets x posteriors x the rest."""

    datasets: Annotated[list[Name], Field(min_length=1)]
    posteriors: Annotated[list[Name], Field(min_length=1)]
    split: Name = "test"
    estimators: list[Name] = Field([], description="empty: all that are configured")
    protocols: Annotated[list[Protocol], Field(min_length=1)] = ["published", "corrected"]
    binnings: Annotated[list[Binning], Field(min_length=1)] = ["equal_width", "equal_count"]
    positives: Annotated[list[Positives], Field(min_length=1)] = ["labelled", "extended"]


class FigureDecl(Model):
    """One `results/figures/NAME.pdf`, `.png` and `.csv`, drawn of what a table holds."""

    kind: Literal["calibration", "rejection"]
    table: Name
    estimators: list[Name] = Field([], description="empty: all of the table")
    protocol: Protocol = "corrected"
    binning: Binning = "equal_width"
    positives: Positives = "labelled"


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
    radius: RadiusSpec = RadiusSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    datasets: dict[Name, DatasetSpec]
    encoders: dict[Name, EncoderSpec] = {}
    posteriors: dict[Name, PosteriorSpec]
    tables: dict[Name, TableDecl]
    figures: dict[Name, FigureDecl] = {}

    @field_validator("encoders")
    @classmethod
    def _imported_is_taken(cls, encoders: dict[str, EncoderSpec]) -> dict[str, EncoderSpec]:
        if IMPORTED in encoders:
            raise ValueError(f"{IMPORTED!r} stands for embeddings made elsewhere; choose another name")
        return encoders


def load_config(values: Mapping[str, Any], origin: str = "config.yaml") -> Config:
    """Check a configuration as far as that can be done without touching data.

    Args:
        values: the parsed YAML, with command-line overrides merged in.
        origin: file name for messages.

    Raises:
        OvertopError: every mistake at once, a line each: the key, what is wrong, and what would be right.
    """
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise OvertopError("\n".join(f"{origin}: {line}" for line in _messages(error))) from None
    mistakes = list(_cross_checks(config))
    if mistakes:
        raise OvertopError("\n".join(f"{origin}: {line}" for line in mistakes))
    return config


def editor_schema() -> str:
    """The JSON schema of config.yaml, for editors."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


def _messages(error: ValidationError) -> Iterator[str]:
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            yield f"{key}: unknown key; {suggestion(str(item['loc'][-1]), _siblings(item['loc']))}"
        else:
            given = "" if item["type"] == "missing" else f" (given: {item['input']!r})"
            yield f"{key}: {item['msg'].removeprefix('Value error, ')}{given}"


def _siblings(location: tuple[int | str, ...]) -> set[str]:
    """The keys that would have been right where an unknown one stands, read off the schema."""
    schema = Config.model_json_schema()

    def resolve(node: dict[str, Any]) -> dict[str, Any]:
        return schema["$defs"][node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node

    node = schema
    for part in location[:-1]:
        node = resolve(node)
        if "discriminator" in node:  # pydantic names the chosen kind as a step of the location
            node = resolve({"$ref": node["discriminator"]["mapping"][str(part)]})
        elif str(part) in node.get("properties", {}):
            node = node["properties"][str(part)]
            node = next((option for option in node.get("anyOf", []) if "$ref" in option), node)
        else:
            node = node.get("additionalProperties") or node.get("items") or next(iter(_pattern_values(node)), {})
    return set(resolve(node).get("properties", {}))


def _pattern_values(node: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return node.get("patternProperties", {}).values()


def _cross_checks(config: Config) -> Iterator[str]:
    """Names that refer to nothing, and combinations that cannot be."""
    for name in config.estimators:
        if name not in ESTIMATORS:
            yield f"estimators: no estimator {name!r}; {suggestion(name, ESTIMATORS)}"
    for name, encoder in config.encoders.items():
        try:
            check_encoder(name, encoder)
        except OvertopError as error:
            yield str(error)
        if encoder.train is not None:
            wanted = encoder.train.dataset
            dataset = config.datasets.get(wanted)
            key = f"encoders.{name}.train.dataset"
            if dataset is None:
                yield f"{key}: no data set {wanted!r}; {suggestion(wanted, config.datasets)}"
            elif dataset.kind == "embeddings":
                yield f"{key}: {wanted!r} holds embeddings, not images to train on"
    for name, posterior in config.posteriors.items():
        if isinstance(posterior, Imported):
            continue
        for encoder_name in posterior.encoders():
            if encoder_name not in config.encoders:
                yield f"posteriors.{name}: no encoder {encoder_name!r}; {suggestion(encoder_name, config.encoders)}"
    for name, table in config.tables.items():
        yield from _table_checks(config, name, table)
    for name, figure in config.figures.items():
        yield from _figure_checks(config, name, figure)


def _table_checks(config: Config, name: str, table: TableDecl) -> Iterator[str]:
    key = f"tables.{name}"
    for estimator in table.estimators:
        if estimator not in config.estimators:
            yield f"{key}.estimators: {estimator!r} is not configured; {suggestion(estimator, config.estimators)}"
    for posterior in table.posteriors:
        if posterior not in config.posteriors:
            yield f"{key}.posteriors: no posterior {posterior!r}; {suggestion(posterior, config.posteriors)}"
    for dataset in table.datasets:
        if dataset not in config.datasets:
            yield f"{key}.datasets: no data set {dataset!r}; {suggestion(dataset, config.datasets)}"
            continue
        spec = config.datasets[dataset]
        splits = spec.images if isinstance(spec, ShapesSpec) else getattr(spec, "splits", {table.split: ""})
        if table.split not in splits:
            yield f"{key}.split: data set {dataset!r} has no split {table.split!r}; {suggestion(table.split, splits)}"
        for posterior in filter(config.posteriors.__contains__, table.posteriors):
            if (config.posteriors[posterior].kind == "imported") != (spec.kind == "embeddings"):
                yield (
                    f"{key}: posterior {posterior!r} does not go with data set {dataset!r}; a data set of kind "
                    "embeddings and a posterior of kind imported go together, and with nothing else"
                )


def _figure_checks(config: Config, name: str, figure: FigureDecl) -> Iterator[str]:
    key = f"figures.{name}"
    if figure.table not in config.tables:
        yield f"{key}.table: no table {figure.table!r}; {suggestion(figure.table, config.tables)}"
        return
    table = config.tables[figure.table]
    configured = table.estimators or config.estimators
    for estimator in figure.estimators:
        if estimator not in configured:
            yield f"{key}.estimators: table {figure.table!r} has no {estimator!r}; {suggestion(estimator, configured)}"
    for what, offered in (("protocol", table.protocols), ("binning", table.binnings), ("positives", table.positives)):
        if getattr(figure, what) not in offered:
            yield f"{key}.{what}: table {figure.table!r} holds only {', '.join(offered)}"
