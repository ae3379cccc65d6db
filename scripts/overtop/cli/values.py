"""The values that a command was called with, grouped for the functions that do the work."""

from dataclasses import dataclass
from pathlib import Path

from overtop.errors import OvertopError
from overtop.terms import Direction, MappingName, Metric, OnError


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
    seed: int = 0


@dataclass(frozen=True)
class GalleryOptions:
    """The gallery, and what is known of it.

    Attributes:
        path: its items, or a prepared gallery.
        bank: unlabelled queries; None without a bank.
        bank_without: table of labels whose queries do not belong to the bank.
        groups: table of the items that belong together.
        temperature: of the softmax over the gallery; None for the default one.
    """

    path: Path
    bank: Path | None = None
    bank_without: Path | None = None
    groups: Path | None = None
    temperature: float | None = None


@dataclass(frozen=True)
class SearchOptions:
    """Gallery and queries."""

    gallery: GalleryOptions
    queries: Path
    encoder: EncoderOptions

    def files(self) -> list[Path | None]:
        """Return what is read, which no output may replace."""
        gallery = self.gallery
        return [gallery.path, gallery.bank, gallery.bank_without, gallery.groups, self.queries]


@dataclass(frozen=True)
class TopkOptions:
    """Result lists of a search engine; None where the default is used.

    Attributes:
        lists: their table.
        gallery_size: number of items that the engine searches.
        metric: what the scores are.
        top: number of best items of each query to use.
        groups: table of the items that belong together.
        temperature: of the softmax over the items of a list.
        label: the user's name of what made the embeddings.
    """

    lists: Path
    gallery_size: int | None = None
    metric: Metric | None = None
    top: int | None = None
    groups: Path | None = None
    temperature: float | None = None
    label: str | None = None


@dataclass(frozen=True)
class GivenSearch:
    """What a command was given as gallery and queries: embeddings, texts and images, or result lists."""

    gallery: Path | None
    queries: Path | None
    bank: Path | None
    bank_without: Path | None
    groups: Path | None
    temperature: float | None
    topk: Path | None
    gallery_size: int | None
    metric: Metric | None
    top: int | None

    def embeddings(self, encoder: EncoderOptions) -> SearchOptions:
        """Return gallery and queries.

        Raises:
            OvertopError: one of them is missing, or there is an option of result lists.
        """
        if self.gallery is None or self.queries is None:
            missing = "--gallery" if self.gallery is None else "--queries"
            raise OvertopError(
                f"{missing} is missing; give --gallery and --queries, or result lists of a search engine with --topk"
            )
        _check_absent(
            "belongs to --topk; remove it", **{"gallery-size": self.gallery_size}, metric=self.metric, top=self.top
        )
        gallery = GalleryOptions(self.gallery, self.bank, self.bank_without, self.groups, self.temperature)
        return SearchOptions(gallery, self.queries, encoder)

    def result_lists(self, encoder: EncoderOptions) -> TopkOptions:
        """Return the result lists of a search engine.

        Raises:
            OvertopError: they are missing, or there is an option of gallery and queries, too.
        """
        if self.topk is None:
            raise OvertopError("--topk is missing; give the result lists of a search engine")
        _check_absent(
            "cannot be combined with --topk, which needs no embeddings; remove one of them",
            gallery=self.gallery,
            queries=self.queries,
            bank=self.bank,
            **{"bank-without": self.bank_without},
            model=encoder.model,
            weights=encoder.weights,
            device=encoder.device,
            direction=encoder.direction,
        )
        return TopkOptions(
            self.topk, self.gallery_size, self.metric, self.top, self.groups, self.temperature, encoder.label
        )

    def check_fitted_options(self) -> None:
        """Check that nothing was given that is part of a confidence model.

        Raises:
            OvertopError: with the first such option.
        """
        reason = "is part of the confidence model; remove it"
        _check_absent(reason, temperature=self.temperature, metric=self.metric, top=self.top)


def _check_absent(reason: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise OvertopError(f"--{name} {reason}")


@dataclass(frozen=True)
class TrustOptions:
    """What to do with new queries; see the options of the command."""

    model: Path | None
    output: Path
    precision: float | None = None
    coverage: float | None = None
