"""Gallery, queries, bank and labels of a command, read and checked before an encoder is loaded."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overtop.cli.items import Items, read_items
from overtop.cli.labels import LabelTable, read_groups, read_labels
from overtop.cli.values import EncoderOptions, GalleryOptions
from overtop.errors import OvertopError
from overtop.terms import Modality

WEIGHT_SUFFIXES = (".pt", ".pth", ".bin", ".safetensors")
"""Suffixes by which weights are a file and not a tag."""


@dataclass(frozen=True)
class GalleryRequest:
    """A gallery that is to be opened or prepared.

    Attributes:
        items: its items.
        bank: unlabelled queries; None without a bank.
        groups: group of each item; None if each is a group of its own.
        temperature: of the softmax over the gallery; None for the default one.
    """

    items: Items
    bank: Items | None
    groups: list[str] | None
    temperature: float | None


@dataclass(frozen=True)
class LabelledQueries:
    """The queries that have labels.

    Attributes:
        queries: these queries, in the order of their source.
        labels: their relevant items, as the user named them, in the same order.
        n_unlabelled: number of queries without a label, which were left out.
    """

    queries: Items
    labels: LabelTable
    n_unlabelled: int


def read_gallery(options: GalleryOptions, encoder: EncoderOptions) -> GalleryRequest:
    """Read what a gallery, its bank and its groups are given as.

    Raises:
        OvertopError: one of them is not valid, or they do not fit together.
    """
    items = read_items("--gallery", options.path, modality_of("gallery", encoder))
    if items.kind == "prepared":
        for name, value in {"bank": options.bank, "groups": options.groups}.items():
            if value is not None:
                raise OvertopError(f"{items.place}: is prepared; remove --{name}, or prepare it again with it")
    if options.bank is None and options.bank_without is not None:
        raise OvertopError("--bank-without needs --bank; remove it, or give the queries of the bank")
    bank = None if options.bank is None else _read_bank(options.bank, options.bank_without, encoder)
    if bank is not None:
        _check_dims(items, bank)
    groups = None if options.groups is None else read_groups(options.groups, items.ids, items.place)
    return GalleryRequest(items, bank, groups, options.temperature)


def _read_bank(path: Path, without: Path | None, encoder: EncoderOptions) -> Items:
    """Read the queries of a bank, without those that have labels in the table `without`."""
    queries = read_items("--bank", path, modality_of("queries", encoder))
    if queries.kind == "prepared":
        raise OvertopError(f"{queries.place}: this is a prepared gallery; give queries")
    if without is None:
        return queries
    labelled = read_labels(without).find_queries(queries.ids, queries.place)
    others = np.setdiff1d(np.arange(len(queries.ids)), labelled)
    if not len(others):
        raise OvertopError(f"{queries.place}: all of its queries are labelled; give more queries")
    return queries.select(others)


def read_queries(path: Path, gallery: GalleryRequest, encoder: EncoderOptions) -> Items:
    """Read what queries are given as.

    Raises:
        OvertopError: they are not valid, or do not fit to the gallery.
    """
    queries = read_items("--queries", path, modality_of("queries", encoder))
    if queries.kind == "prepared":
        raise OvertopError(f"{queries.place}: this is a prepared gallery; give queries")
    _check_dims(gallery.items, queries)
    return queries


def read_labelled(queries: Items, relevant: Path, gallery: GalleryRequest, options: GalleryOptions) -> LabelledQueries:
    """Read labels, and select the queries that have any.

    Raises:
        OvertopError: the labels are not valid, name unknown queries or items, or their queries are in the bank.
    """
    labels = read_labels(relevant)
    rows = labels.find_queries(queries.ids, queries.place)
    if gallery.items.kind != "prepared":
        labels.find_items(gallery.items.ids, gallery.items.place)
    if options.bank is not None and options.bank_without is None and options.bank.samefile(queries.path):
        raise OvertopError(f"--bank {options.bank}: the labelled queries are in it; add --bank-without {relevant}")
    names = list(labels.relevant)
    order = np.argsort(rows)
    in_order = {names[position]: labels.relevant[names[position]] for position in order}
    selected = queries.select(rows[order])
    return LabelledQueries(selected, LabelTable(labels.path, in_order), len(queries.ids) - len(rows))


def modality_of(role: str, encoder: EncoderOptions) -> Modality | None:
    """Return the modality of the role `queries` or `gallery`; None if no direction was given."""
    if encoder.direction is None:
        return None
    return "text" if (role == "queries") == (encoder.direction == "t2i") else "image"


def check_encoder(options: EncoderOptions, *items: Items | None) -> None:
    """Check that an encoder is named if and only if something must be embedded.

    Raises:
        OvertopError: it is not, or has no weights, or the file with its weights does not exist.
    """
    to_embed = [item for item in items if item is not None and item.needs_encoder]
    if options.model is None and to_embed:
        raise OvertopError(
            f"{to_embed[0].place}: {to_embed[0].kind} need an encoder; name the one of the other embeddings, "
            "for example --model ViT-B-32 --weights openai"
        )
    for name, value in {"weights": options.weights, "device": options.device}.items():
        if options.model is None and value is not None:
            raise OvertopError(
                f"--{name} needs --model: name the architecture, for example ViT-B-32, or remove --{name}"
            )
    if options.model is None:
        return
    if not to_embed:
        raise OvertopError("--model is not used, there are embeddings only; remove it, or use --encoder LABEL")
    if options.label is not None:
        raise OvertopError("--model and --encoder: --model makes the label of the encoder; remove --encoder")
    if options.weights is None:
        raise OvertopError(
            f"--model {options.model} needs --weights: a tag of open_clip, such as openai, or a file with weights"
        )
    if has_weights_file(options) and not Path(options.weights).exists():
        raise OvertopError(f"--weights {options.weights}: no such file or folder; correct the path")


def has_weights_file(options: EncoderOptions) -> bool:
    """Whether the weights are a path, and not a tag of open_clip."""
    weights = options.weights or ""
    return Path(weights).exists() or "/" in weights or Path(weights).suffix in WEIGHT_SUFFIXES


def _check_dims(gallery: Items, queries: Items) -> None:
    if gallery.source is None or queries.source is None or gallery.source.dims == queries.source.dims:
        return
    raise OvertopError(
        f"{queries.place}: embeddings of {_describe_dims(queries.source.dims)}, but those of {gallery.place} have "
        f"{_describe_dims(gallery.source.dims)}; both must be from the same encoder"
    )


def _describe_dims(dims: tuple[int, ...]) -> str:
    return f"dimension {dims[0]}" if len(dims) == 1 else f"{len(dims)} samples of dimensions {dims}"
