"""The command `overtop`: which top hits of a search to trust, and a configuration for own data.

The module reads options and checks combinations of them. The work is in modules that are imported by the command that
needs them, so that help texts, and lists of a search engine, do not wait for torch.
"""

import logging
import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from overtop.cli import options as opt
from overtop.cli import values
from overtop.cli.lazy import call
from overtop.errors import OvertopError


class OneLineErrors(TyperGroup):
    """Commands that report an `OvertopError` in one line, with exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except OvertopError as error:
            print(f"overtop: {error}", file=sys.stderr)
            raise typer.Exit(1) from error


app = typer.Typer(
    name="overtop",
    cls=OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command with the arguments of the process."""
    logging.basicConfig(format="overtop: %(message)s", level=logging.WARNING)
    app(prog_name="overtop")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Tell which top hits of a CLIP search to trust."""
    if version:
        print(f"overtop {installed_version('overtop')}")
        raise typer.Exit


@app.command(epilog="Example: overtop init /data/photos --name photos")
def init(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A folder of images or embeddings, or one file of embeddings.")
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the data set, the table and the report.")] = "mine",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="File of entries. [default: NAME.yaml]")
    ] = None,
) -> None:
    """Write the entries that evaluate your own data.

    The folder is looked at, and what was found is in the comments of the file. The pipeline is then run with
    `--configfile FILE` in the folder of its repository.
    """
    call("init", "init", path, name, output)


@app.command(epilog="Example: overtop label --queries log.npy --size 200 -o to-label.csv")
def label(
    queries: Annotated[
        Path, typer.Option(metavar="PATH", help="A log of queries: embeddings, texts or a folder of images.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Table to fill in, .csv or .parquet.")],
    size: Annotated[int, typer.Option(min=1, metavar="N", help="Number of queries to label.")] = 100,
    seed: opt.Seed = 0,
    direction: opt.DirectionOption = None,
) -> None:
    """Choose which queries of a log to label first.

    They are a random sample, since a guarantee needs one. Every first part of the table is a random sample, too, so
    labelling may stop anywhere.
    """
    call("commands", "label", queries, output, size, seed, values.EncoderOptions(direction=direction))


@app.command(epilog="Example: overtop prepare --gallery gallery.npy --bank log.npy -o gallery/")
def prepare(
    gallery: opt.RawGallery,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Folder of the prepared gallery.")],
    bank: opt.Bank = None,
    bank_without: opt.BankWithout = None,
    groups: opt.Groups = None,
    temperature: opt.Temperature = None,
    encoder: opt.EncoderLabel = None,
    direction: opt.DirectionOption = None,
    model: opt.Model = None,
    weights: opt.Weights = None,
    on_error: opt.OnErrorOption = "fail",
    batch_size: opt.BatchSize = 64,
    device: opt.Device = None,
) -> None:
    """Prepare a gallery once; later commands open it at once.

    Embeddings are normalised, equal items are merged, and what a bank says about each item is stored. The other
    commands memory-map the folder.
    """
    how = values.EncoderOptions(model, weights, on_error, batch_size, device, encoder, direction)
    call("commands", "prepare", values.GalleryOptions(gallery, bank, bank_without, groups, temperature), how, output)


@app.command(
    epilog="Example: overtop calibrate --gallery gallery.npy --queries labelled.npy --relevant labels.csv "
    "--precision 0.9 -o trust.json"
)
def calibrate(
    relevant: opt.Relevant,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The confidence model, .json.")],
    gallery: opt.Gallery = None,
    queries: opt.Queries = None,
    topk: opt.TopK = None,
    gallery_size: opt.GallerySize = None,
    metric: opt.MetricOption = None,
    top: opt.Top = None,
    precision: opt.Precisions = [0.9],  # noqa: B006 (typer copies it)
    confidence: opt.Confidence = 0.95,
    bank: opt.Bank = None,
    bank_without: opt.BankWithout = None,
    groups: opt.Groups = None,
    estimator: opt.Estimator = None,
    mapping: opt.MappingOption = "auto",
    temperature: opt.Temperature = None,
    seed: opt.Seed = 0,
    encoder: opt.EncoderLabel = None,
    direction: opt.DirectionOption = None,
    model: opt.Model = None,
    weights: opt.Weights = None,
    on_error: opt.OnErrorOption = "fail",
    batch_size: opt.BatchSize = 64,
    device: opt.Device = None,
) -> None:
    """Fit a confidence model on labelled queries.

    The model has a probability for each top hit, and a threshold for each precision.
    """
    how = values.EncoderOptions(model, weights, on_error, batch_size, device, encoder, direction)
    fit = values.FitOptions(tuple(precision), confidence, estimator, mapping, seed)
    search = values.GivenSearch(
        gallery, queries, bank, bank_without, groups, temperature, topk, gallery_size, metric, top
    )
    if topk is not None:
        call("topk", "calibrate", search.result_lists(how), relevant, fit, output)
    else:
        call("commands", "calibrate", search.embeddings(how), relevant, fit, output)


@app.command(epilog="Example: overtop trust --gallery gallery.npy --queries new.npy --with trust.json -o trust.parquet")
def trust(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The answers, .parquet or .csv.")],
    gallery: opt.Gallery = None,
    queries: opt.Queries = None,
    topk: opt.TopK = None,
    gallery_size: opt.GallerySize = None,
    metric: opt.MetricOption = None,
    top: opt.Top = None,
    confidence_model: Annotated[
        Path | None,
        typer.Option("--with", metavar="MODEL", help="Confidence model of `overtop calibrate`; without it, rank only."),
    ] = None,
    precision: Annotated[
        float | None,
        typer.Option(metavar="P", help="One of the model's precisions. [default: the first one of the model]"),
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(metavar="P", help="Act on this share of the queries, the least uncertain ones; without promise."),
    ] = None,
    bank: opt.Bank = None,
    bank_without: opt.BankWithout = None,
    groups: opt.Groups = None,
    temperature: opt.Temperature = None,
    encoder: opt.EncoderLabel = None,
    direction: opt.DirectionOption = None,
    model: opt.Model = None,
    weights: opt.Weights = None,
    on_error: opt.OnErrorOption = "fail",
    batch_size: opt.BatchSize = 64,
    device: opt.Device = None,
) -> None:
    """Answer new queries and tell which answers to act on.

    The table has the top hit of each query, the probability that it is right, whether to act on it, and warnings.
    """
    if precision is not None and coverage is not None:
        raise OvertopError("--precision and --coverage: give one of them")
    if precision is not None and confidence_model is None:
        raise OvertopError(
            "--precision needs --with trust.json: without labels nothing can be promised; use --coverage"
        )
    how = values.EncoderOptions(model, weights, on_error, batch_size, device, encoder, direction)
    what = values.TrustOptions(confidence_model, output, precision, coverage)
    search = values.GivenSearch(
        gallery, queries, bank, bank_without, groups, temperature, topk, gallery_size, metric, top
    )
    if confidence_model is not None:
        search.check_fitted_options()
    if topk is not None:
        call("topk", "trust", search.result_lists(how), what)
    else:
        call("commands", "trust", search.embeddings(how), what)
