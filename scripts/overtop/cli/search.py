"""The commands that compute with embeddings: of files, or of an encoder that embeds texts and images."""

from collections.abc import Iterable
from pathlib import Path

from overtop.cli import report
from overtop.cli.encoding import embed_items, encoder_label, load_named_encoder
from overtop.cli.items import Items
from overtop.cli.options import EncoderOptions, FitOptions, TrustOptions
from overtop.cli.requests import GalleryRequest, LabelledQueries
from overtop.confidence import judge as judging
from overtop.encoders.loading import Encoder
from overtop.errors import OvertopError
from overtop.retrieval.prepared import PreparedGallery, open_gallery, prepare_gallery
from overtop.storage.files import write_table
from overtop.storage.shards import ArraySource, EmbeddingSource


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

    def open_gallery(self, request: GalleryRequest, folder: Path | None = None) -> PreparedGallery:
        """Open a prepared gallery, or prepare one, in memory or in a folder.

        Raises:
            OvertopError: as `open`; or the gallery is not valid, or is of another encoder.
        """
        if request.items.kind != "prepared":
            return prepare_gallery(
                self.open(request.items),
                folder,
                bank=None if request.bank is None else self.open(request.bank),
                temperature=request.temperature,
                encoder=self.label,
                device=self._options.device,
            )
        gallery = open_gallery(request.items.path)
        if None not in (self.label, gallery.encoder) and self.label != gallery.encoder:
            raise OvertopError(
                f"{request.items.place}: prepared with encoder {gallery.encoder!r}, the queries are of {self.label!r}; "
                "use one encoder for both"
            )
        return gallery

    def _load(self) -> Encoder:
        if self._encoder is None:
            self._encoder = load_named_encoder(self._options)
        return self._encoder


def prepare(request: GalleryRequest, encoder: EncoderOptions, output: Path) -> None:
    """Prepare a gallery in a folder."""
    report.print_lines(report.describe_gallery(Opener(encoder).open_gallery(request, output), output))
