"""The options of the commands, and the values that a command was called with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from overtop.terms import Direction

MappingName = Literal["auto", "softmax", "logistic", "isotonic"]
OnError = Literal["fail", "skip"]

_ITEMS = (
    "embeddings (.npy, .npz, .h5, or a folder of .npy parts), texts (.csv, .tsv, .parquet, .txt) or images (folder)"
)

Gallery = Annotated[
    Path | None, typer.Option(metavar="PATH", help=f"The gallery: a folder made by `overtop prepare`, {_ITEMS}.")
]
RawGallery = Annotated[Path, typer.Option("--gallery", metavar="PATH", help=f"The gallery: {_ITEMS}.")]
Queries = Annotated[Path | None, typer.Option(metavar="PATH", help=f"The queries: {_ITEMS}.")]
TopK = Annotated[
    Path | None,
    typer.Option(
        "--topk",
        metavar="TABLE",
        help="Result lists of a search engine, instead of --gallery and --queries: "
        "columns query, item, similarity; .csv, .tsv or .parquet.",
    ),
]
GallerySize = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="With --topk: number of items that the engine searches.")
]
Relevant = Annotated[
    Path,
    typer.Option(
        metavar="TABLE",
        help="Labels: columns query and relevant (ids or row numbers from 0), one row per relevant item; "
        "an empty `relevant` means that no item matches. Queries without a row are left out.",
    ),
]
Precisions = Annotated[
    list[float],
    typer.Option(
        "--precision", metavar="P", help="Share of the top hits acted on that shall be right; several are possible."
    ),
]
Confidence = Annotated[float, typer.Option(metavar="P", help="Probability with which each precision is guaranteed.")]
Bank = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Unlabelled queries, such as a log: they tell which items of the gallery are close to everything.",
    ),
]
BankWithout = Annotated[
    Path | None,
    typer.Option(
        metavar="TABLE", help="Labels whose queries are left out of --bank; needed if these are from the same file."
    ),
]
Estimator = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Measure of uncertainty, or auto. [default: bank_nnn with a bank, else max_softmax]"
    ),
]
MappingOption = Annotated[
    MappingName, typer.Option("--mapping", help="How uncertainty becomes a probability; auto: by cross-validation.")
]
Temperature = Annotated[float, typer.Option(metavar="T", help="Temperature of the softmax over the gallery.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed of every random choice.")]
EncoderLabel = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="LABEL",
        help="Your name for what made the embeddings; a model is refused for another one.",
    ),
]
DirectionOption = Annotated[
    Direction | None,
    typer.Option("--direction", help="Where a file has images and texts: t2i, texts search images; i2t, the reverse."),
]
Model = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="Encoder of texts and images: an open_clip model, such as ViT-B-32."),
]
Weights = Annotated[
    str | None,
    typer.Option(metavar="TAG|PATH", help="Its weights: a tag of open_clip, such as openai, or a file with weights."),
]
OnErrorOption = Annotated[
    OnError, typer.Option("--on-error", help="What happens with an image that cannot be read: stop, or leave it out.")
]
BatchSize = Annotated[int, typer.Option(min=1, metavar="N", help="Images or texts that the encoder takes at once.")]
Device = Annotated[
    str | None, typer.Option(metavar="NAME", help="cpu, cuda or cuda:0. [default: cuda if there is a GPU]")
]


@dataclass(frozen=True)
class EncoderOptions:
    """The encoder of texts and images, and how it is run.

    Attributes:
        model: open_clip's name of the architecture; None if there are embeddings only.
        weights: open_clip's tag, or a path.
        on_error: what happens with an image that cannot be read.
        batch_size: items in one forward pass.
        device: the device; None for the default one.
        label: the user's name of what made the embeddings.
        direction: what queries and gallery are, where a file has both.
    """

    model: str | None = None
    weights: str | None = None
    on_error: OnError = "fail"
    batch_size: int = 64
    device: str | None = None
    label: str | None = None
    direction: Direction | None = None


@dataclass(frozen=True)
class FitOptions:
    """How a confidence model is fitted; see the options of the command."""

    precisions: tuple[float, ...] = (0.9,)
    confidence: float = 0.95
    estimator: str | None = None
    mapping: MappingName = "auto"
    temperature: float = 0.01
    seed: int = 0


@dataclass(frozen=True)
class BankOptions:
    """The bank of unlabelled queries.

    Attributes:
        path: the queries; None without a bank.
        without: table of labels whose queries do not belong to the bank.
    """

    path: Path | None = None
    without: Path | None = None


@dataclass(frozen=True)
class SearchOptions:
    """Gallery and queries; see the options of the commands."""

    gallery: Path
    queries: Path
    bank: BankOptions
    encoder: EncoderOptions


@dataclass(frozen=True)
class TopKOptions:
    """Result lists of a search engine."""

    lists: Path
    gallery_size: int | None


@dataclass(frozen=True)
class TrustOptions:
    """What to do with new queries; see the options of the command."""

    model: Path | None
    output: Path
    precision: float | None = None
    coverage: float | None = None
    temperature: float = 0.01
