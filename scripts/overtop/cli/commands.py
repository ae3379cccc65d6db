"""What each command does before torch is imported: it reads and checks what the command was given."""

from pathlib import Path

import pandas as pd

from overtop.cli import values
from overtop.cli.items import read_items
from overtop.cli.labels import NOT_LABELLED
from overtop.cli.lazy import call
from overtop.cli.outputs import check_output, check_output_folder
from overtop.cli.report import print_lines
from overtop.cli.requests import check_encoder, modality_of, read_gallery, read_labelled, read_queries
from overtop.confidence.labelling import queries_to_label
from overtop.confidence.model import read_models
from overtop.errors import OvertopError
from overtop.labels import format_count
from overtop.storage.tables import write_plain_table

TABLES = (".parquet", ".csv")
"""Suffixes of the tables that are written."""

HOW_TO_LABEL = (
    "a random sample in random order: label them from the top, and stop where you like. Replace each "
    f"{NOT_LABELLED} by the id or row number of a relevant gallery item (one row for each), or leave it empty where no "
    "item matches. Do not choose the most uncertain queries instead: a guarantee needs a random sample."
)


def label(queries: Path, output: Path, size: int, seed: int, encoder: values.EncoderOptions) -> None:
    """Write the table of the queries to label first."""
    check_output(output, TABLES, [queries])
    items = read_items("--queries", queries, modality_of("queries", encoder))
    rows = queries_to_label(len(items.ids), size, seed)
    columns = {"query": [items.ids[row] for row in rows], "relevant": NOT_LABELLED}
    if items.kind == "texts":
        columns["text"] = [items.contents[row] for row in rows]
    write_plain_table(output, pd.DataFrame(columns))
    chosen = f"{format_count(len(rows), 'query')} of {len(items.ids):,}"
    print_lines([f"{chosen}, {HOW_TO_LABEL}", f"wrote {output}"])


def prepare(gallery: values.GalleryOptions, encoder: values.EncoderOptions, output: Path) -> None:
    """Prepare a gallery in a folder."""
    check_output_folder(output)
    request = read_gallery(gallery, encoder)
    check_encoder(encoder, request.items, request.bank)
    call("search", "prepare", request, encoder, output)


def calibrate(search: values.SearchOptions, relevant: Path, fit: values.FitOptions, output: Path) -> None:
    """Fit a confidence model on labelled queries."""
    check_output(output, (".json",), [*search.files(), relevant])
    gallery = read_gallery(search.gallery, search.encoder)
    queries = read_queries(search.queries, gallery, search.encoder)
    labelled = read_labelled(queries, relevant, gallery, search.gallery)
    check_encoder(search.encoder, gallery.items, gallery.bank, queries)
    call("search", "calibrate", gallery, labelled, fit, search.encoder, output)


def trust(search: values.SearchOptions, what: values.TrustOptions) -> None:
    """Answer new queries."""
    check_output(what.output, TABLES, [*search.files(), what.model])
    if what.model is not None:
        check_precision(what.model, what.precision)
    gallery = read_gallery(search.gallery, search.encoder)
    queries = read_queries(search.queries, gallery, search.encoder)
    check_encoder(search.encoder, gallery.items, gallery.bank, queries)
    call("search", "trust", gallery, queries, what, search.encoder)


def check_precision(path: Path, precision: float | None) -> None:
    """Check that a file has confidence models, and that they have a precision.

    Args:
        path: the file.
        precision: None for the default one.

    Raises:
        OvertopError: it is no such file, or a model was fitted without this precision.
    """
    for model in read_models(path).values():
        try:
            if precision is not None:
                model.threshold(precision)
        except OvertopError as error:
            raise OvertopError(f"--with {path}: {error}") from error
