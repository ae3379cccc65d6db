"""The commands that compute with embeddings: of files, or of an encoder that embeds texts and images."""

from pathlib import Path
from typing import Any

from overtop.cli import report
from overtop.cli.encoding import embed_items, encoder_label, load_named_encoder
from overtop.cli.items import Items
from overtop.cli.requests import GalleryRequest, LabelledQueries
from overtop.cli.values import EncoderOptions, FitOptions, TrustOptions
from overtop.confidence.judge import fit, load
from overtop.confidence.model import read_models
from overtop.encoders.loading import Encoder
from overtop.labels import format_count
from overtop.progress import progress_bar
from overtop.retrieval.prepared import PreparedGallery, open_gallery, prepare_gallery
from overtop.storage.shards import ArraySource, EmbeddingSource
from overtop.storage.tables import write_plain_table
from overtop.terms import SOFTMAX_TEMPERATURE


class Opener:
    """Opens embeddings, and makes those of texts and images with one encoder, which is loaded when it is needed.

    Args:
        options: the encoder, and how it is run.
    """

    def __init__(self, options: EncoderOptions) -> None:
        self._options = options
        self._encoder: Encoder | None = None

    @property
    def label(self) -> str | None:
        """The label of the encoder: made from its weights, or given by the user."""
        return self._options.label if self._options.model is None else encoder_label(self._load())

    def open(self, items: Items) -> EmbeddingSource:
        """Return the embeddings of some items, without images that were skipped because they cannot be read.

        Raises:
            OvertopError: the encoder cannot be loaded, or an image cannot be read.
        """
        if items.source is not None:
            return items.source
        readable, embedding = embed_items(self._load(), items, self._options)
        return ArraySource([embedding], readable.ids)

    def gallery_arguments(self, request: GalleryRequest) -> dict[str, Any]:
        """Return the arguments of `fit`, `load` and `prepare_gallery` that describe the gallery.

        Raises:
            OvertopError: as `open`, or a prepared gallery is damaged.
        """
        is_prepared = request.items.kind == "prepared"
        gallery = open_gallery(request.items.path) if is_prepared else self.open(request.items)
        return {
            "gallery": gallery,
            "bank": None if request.bank is None else self.open(request.bank),
            "groups": _groups_of(request, gallery),
            "encoder": self.label,
        }

    def _load(self) -> Encoder:
        if self._encoder is None:
            self._encoder = load_named_encoder(self._options)
        return self._encoder


def prepare(request: GalleryRequest, encoder: EncoderOptions, output: Path) -> None:
    """Prepare a gallery in a folder, and print what it contains."""
    arguments = Opener(encoder).gallery_arguments(request)
    temperature = SOFTMAX_TEMPERATURE if request.temperature is None else request.temperature
    with report.warnings_in_one_line():
        gallery = prepare_gallery(arguments.pop("gallery"), output, temperature=temperature, **arguments)
    report.print_lines([_describe_gallery(gallery), f"wrote {output}/"])


def calibrate(
    request: GalleryRequest, labelled: LabelledQueries, options: FitOptions, encoder: EncoderOptions, output: Path
) -> None:
    """Fit a confidence model, write it, and print what it promises."""
    opener = Opener(encoder)
    queries = opener.open(labelled.queries)
    arguments = opener.gallery_arguments(request)
    with report.warnings_in_one_line(), progress_bar("rank", "query") as progress:
        judge = fit(
            queries=queries,
            relevant=_relevant_items(labelled, queries, request.items, arguments["gallery"].item_ids),
            precision=options.precisions,
            confidence=options.confidence,
            estimator=options.estimator,
            mapping=options.mapping,
            temperature=request.temperature,
            seed=options.seed,
            progress=progress,
            **arguments,
        )
    judge.save(output)
    report.print_lines([*report.describe_fit(judge.model, labelled.n_unlabelled), f"wrote {output}"])


def trust(request: GalleryRequest, queries: Items, what: TrustOptions, encoder: EncoderOptions) -> None:
    """Answer new queries, write the answers, and print a summary."""
    opener = Opener(encoder)
    embeddings = opener.open(queries)
    arguments = opener.gallery_arguments(request)
    with report.warnings_in_one_line():
        if what.model is None:
            judge = fit(temperature=request.temperature, **arguments)
        else:
            judge = load(what.model, direction=_choose_direction(what.model, queries, encoder), **arguments)
        with progress_bar("rank", "query") as progress:
            answers = judge(embeddings, precision=what.precision, coverage=what.coverage, progress=progress)
    write_plain_table(what.output, answers)
    report.print_answers(answers, report.describe_promise(judge, what), what.output)


def _describe_gallery(gallery: PreparedGallery) -> str:
    parts = [f"{format_count(gallery.n_items, 'item')} of dimension {gallery.dims[0]}"]
    if gallery.n_samples > 1:
        parts.append(format_count(gallery.n_samples, "sample"))
    if gallery.bank is not None:
        parts.append(f"bank of {format_count(gallery.bank['size'], 'query')}")
    if gallery.encoder is not None:
        parts.append(f"encoder {gallery.encoder}")
    return ", ".join(parts)


def _groups_of(request: GalleryRequest, gallery: EmbeddingSource | PreparedGallery) -> list[str] | None:
    """Return the groups of the items that could be read."""
    if request.groups is None or len(request.groups) == gallery.n_items:
        return request.groups
    group_of = dict(zip(request.items.ids, request.groups, strict=True))
    return [group_of[name] for name in gallery.item_ids]


def _relevant_items(
    labelled: LabelledQueries, queries: EmbeddingSource, gallery: Items, gallery_ids: list[str]
) -> list[list[int]]:
    """Return the rows of the relevant gallery items of each query.

    Labels may be row numbers of what the user named. Where images could not be read, rows are counted without them: a
    query loses relevant items that are not in the gallery, and the labels of a query that was left out are not used.
    """
    named = list(gallery.ids) or gallery_ids
    rows = labelled.labels.find_items(named, gallery.place)
    if named != gallery_ids:
        row_of_id = {name: row for row, name in enumerate(gallery_ids)}
        rows = [[row_of_id[named[row]] for row in items if named[row] in row_of_id] for items in rows]
    row_of_query = dict(zip(labelled.queries.ids, rows, strict=True))
    return [row_of_query[name] for name in queries.item_ids]


def _choose_direction(model: Path, queries: Items, encoder: EncoderOptions) -> str | None:
    """Return which model of a file with several is used: that of the option, or that of the queries' modality."""
    if len(read_models(model)) == 1:
        return None
    return encoder.direction or {"texts": "t2i", "images": "i2t"}.get(queries.kind)
