"""The options of the commands: their names and their help."""

from pathlib import Path
from typing import Annotated

import typer

from overtop.terms import Direction, MappingName, Metric, OnError

_ITEMS = "embeddings (.npy, .npz, .h5, or a folder of .npy parts), texts (.csv, .parquet, .txt) or images (folder)"

Gallery = Annotated[
    Path | None, typer.Option(metavar="PATH", help=f"The gallery: a folder made by `overtop prepare`, {_ITEMS}.")
]
RawGallery = Annotated[Path, typer.Option("--gallery", metavar="PATH", help=f"The gallery: {_ITEMS}.")]
Queries = Annotated[Path | None, typer.Option(metavar="PATH", help="The queries, in one of these forms.")]
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
MetricOption = Annotated[
    Metric | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="With --topk: what the similarities are: cosine (default), l2, elasticsearch or inner_product.",
    ),
]
Top = Annotated[
    int | None,
    typer.Option(min=2, metavar="K", help="With --topk: best items to use. [default: length of the shortest list]"),
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
Groups = Annotated[
    Path | None,
    typer.Option(
        metavar="TABLE",
        help="Items that belong together and do not compete, such as captions of one image: columns item and group.",
    ),
]
Estimator = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Measure of uncertainty, or auto. [default: bank_nnn with a bank, else max_softmax]"
    ),
]
MappingOption = Annotated[
    MappingName,
    typer.Option(
        "--mapping",
        metavar="NAME",
        help="How uncertainty becomes a probability: softmax, logistic, isotonic, or auto: by cross-validation.",
    ),
]
Temperature = Annotated[
    float | None, typer.Option(metavar="T", help="Temperature of the softmax over the gallery. [default: 0.01]")
]
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
    str | None,
    typer.Option(metavar="NAME", help="Device of the encoder: cpu, cuda or cuda:0. [default: cuda if there is a GPU]"),
]
