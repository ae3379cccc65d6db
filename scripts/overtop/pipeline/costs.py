"""What planned jobs cost: passes through networks, hours of a card, and disk; from declared sizes and stated rates."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from overtop.config.model import Config
from overtop.config.sources import FileSource
from overtop.encoders.sampling import Sampling
from overtop.pipeline import paths
from overtop.pipeline.dag import PlannedJob
from overtop.storage.shards import shard_slice
from overtop.storage.split import read_split
from overtop.terms import VOTE_TOP


class Network(NamedTuple):
    """An architecture: GFLOP for an image and for a caption of 77 tokens, width of an embedding, GB of its weights."""

    image: float
    caption: float
    width: int
    weights: float


NETWORKS = {
    "ViT-B-32": Network(8.8, 6.0, 512, 0.6),
    "ViT-B-16": Network(35.1, 6.0, 512, 0.6),
    "ViT-L-14": Network(162.0, 13.3, 768, 1.7),
}
"""From open_clip's docs/model_profile.csv; those with `-quickgelu` are the same."""


class Card(NamedTuple):
    """Sustained TFLOP/s of a GPU in float32 and in half precision."""

    fp32: float
    half: float


CARDS = {"A100": Card(14, 150), "H100": Card(40, 350)}
"""Assumed, not measured: 70 % of the float32 peak of an A100 without TF32, and about half of the others' peak."""

START_SECONDS = 45
"""Assumed: from the start of a job to the first pass. Imports and loading take 14 CPU seconds, measured on a CPU."""

DECODED_PER_SECOND = 200
"""Images that one CPU decodes, measured: 5 ms for 640 x 480 pixels."""

DECODING_CPUS = 8
"""Assumed: CPUs beside a GPU that decode."""

IMAGE_BYTES = 165e3
"""Size of a photograph of COCO, the mean of its archives; assumed for all data sets."""

FLOAT32 = 4


class Passes(NamedTuple):
    """Passes through one encoder with one kind of sampling.

    Attributes:
        encoder: its name.
        is_dropout: whether with dropout.
        architecture: of open_clip.
        jobs: jobs, each of which loads the encoder.
        images: passes of images.
        captions: passes of captions.
    """

    encoder: str
    is_dropout: bool
    architecture: str
    jobs: int
    images: int
    captions: int

    @property
    def network(self) -> Network | None:
        """The operations of its architecture, None if unknown."""
        return NETWORKS.get(self.architecture.removesuffix("-quickgelu"))


class Counts(NamedTuple):
    """Images and captions of a split; of a data set of classes the texts are not declared."""

    images: int
    captions: int


def split_counts(config: Config, dataset: str, split: str) -> Counts | None:
    """Return the size of a split, from its file or as declared; None if neither is there."""
    base = config.base_of(dataset)
    path = Path(paths.SPLIT.format(dataset=base, split=split))
    if path.is_file():
        manifest = read_split(path)
        return Counts(len(manifest.image_ids), len(manifest.caption_ids))
    declared = config.stored_dataset(base).expect.get(split)
    return Counts(declared.images, getattr(declared, "captions", 0)) if declared else None


def count_passes(jobs: Iterable[PlannedJob], config: Config) -> tuple[list[Passes], list[str]]:
    """Return the passes of all `embed` jobs, and the splits of unknown size, whose jobs are not counted."""
    passes: dict[tuple[str, bool], Passes] = {}
    unknown = set()
    for job in jobs:
        if job.rule != "embed":
            continue
        names = job.wildcards
        counts = split_counts(config, names["dataset"], names["split"])
        if counts is None:
            unknown.add(f"{names['dataset']}/{names['split']}")
            continue
        sampling = Sampling.parse(names["sampling"])
        items = [shard_slice(count, int(names["shard"]), int(names["shards"])) for count in counts]
        images, captions = (sampling.passes * (part.stop - part.start) for part in items)
        key = names["encoder"], not sampling.is_deterministic
        before = passes.get(key, Passes(*key, config.encoders[names["encoder"]].architecture, 0, 0, 0))
        passes[key] = before._replace(
            jobs=before.jobs + 1, images=before.images + images, captions=before.captions + captions
        )
    return sorted(passes.values()), sorted(unknown)


class Hours(NamedTuple):
    """Hours of one card: those in which it computes, and those for which jobs hold it."""

    computing: float
    held: float


def gpu_hours(passes: Sequence[Passes], card: Card, is_half: bool) -> Hours:
    """Return the hours of the `embed` jobs whose architecture is known."""
    computing = held = 0.0
    for of_encoder in passes:
        network = of_encoder.network
        if network is None:
            continue
        operations = 1e9 * (of_encoder.images * network.image + of_encoder.captions * network.caption)
        seconds = operations / (1e12 * (card.half if is_half else card.fp32))
        computing += seconds / 3600
        decoding = 0 if of_encoder.is_dropout else of_encoder.images / (DECODED_PER_SECOND * DECODING_CPUS)
        held += (max(seconds, decoding) + START_SECONDS * of_encoder.jobs) / 3600
    return Hours(computing, held)


def disk_use(jobs: Sequence[PlannedJob], passes: Sequence[Passes], config: Config) -> Iterator[tuple[str, float, str]]:
    """Yield what jobs put on disk: a name, GB, and what the number rests on."""
    fetched = {(job.wildcards["dataset"], job.wildcards["split"]) for job in jobs if job.rule == "fetch"}
    names = sorted({name for dataset, _ in fetched for name in config.stored_dataset(dataset).source_names()})
    if names:
        sizes = {name: _source_bytes(config, name) for name in names}
        unknown = [name for name, size in sizes.items() if size is None]
        note = f"without {', '.join(unknown)}, of unknown size" if unknown else "declared sizes"
        yield "downloads of data sets (all routes)", sum(size or 0 for size in sizes.values()) / 1e9, note
        counts = [split_counts(config, dataset, split) for dataset, split in fetched]
        images = sum(count.images for count in counts if count)
        yield "images", images * IMAGE_BYTES / 1e9, f"{images:,} images, {IMAGE_BYTES / 1e3:.0f} kB each (assumed)"
    if weights := {_weights_of(config, job.wildcards["encoder"]) for job in jobs if job.rule == "weights"}:
        yield "weights", sum(size for _, size in weights), f"{len(weights)} files"
    if size := sum((row.images + row.captions) * row.network.width * FLOAT32 for row in passes if row.network):
        yield "embeddings", size / 1e9, "float32"
    if size := sum(_ranking_bytes(job, config) for job in jobs if job.rule in ("rank", "merge_rankings")):
        yield "rankings", size / 1e9, "ids and scores of the best items"


def _source_bytes(config: Config, name: str) -> int | None:
    source = config.sources.get(name)
    return source.bytes if isinstance(source, FileSource) else None


def _weights_of(config: Config, encoder: str) -> tuple[str, float]:
    """The file of an encoder, which others may share, and its GB."""
    spec = config.encoders[encoder]
    network = NETWORKS.get(spec.architecture.removesuffix("-quickgelu"))
    return f"{spec.architecture.removesuffix('-quickgelu')} {spec.tag or spec.hub}", network.weights if network else 0


def _ranking_bytes(job: PlannedJob, config: Config) -> int:
    """The size of the best items of all queries, which are most of a ranking."""
    counts = split_counts(config, job.wildcards["dataset"], job.wildcards["split"])
    if counts is None:
        return 0
    posterior = config.posteriors[job.wildcards["posterior"].partition("@")[0]]
    samples = posterior.passes or len(posterior.encoders())
    return sum(counts) * FLOAT32 * (2 * config.ranking.top + samples * VOTE_TOP)
