"""`datasets` in config.yaml: where each comes from and how it is split into shards."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from overtop.config.banks import BankSpec
from overtop.config.base import Count, Model, Name
from overtop.config.classes import ClassFiles, HeldOut, Template


class Counts(Model):
    """Declared size of a split; the rule `split` fails if the data differ."""

    images: Count
    captions: Count


class ClassCounts(Model):
    """Declared size of a split of a data set of classes."""

    images: Count
    classes: Count


class Shards(Model):
    """Number of files that the embeddings of each modality are written to: the unit of parallel and repeated work."""

    image: Count = 1
    text: Count = 1


class _Dataset(Model):
    shards: Shards = Shards()
    on_error: Literal["fail", "skip"] = Field(
        "fail", description="on an unreadable or missing image, or a NaN embedding: stop, or leave the item out"
    )
    expect: dict[Name, Counts] = Field({}, description="declared size of each split; a different size is an error")
    benchmark: Literal["coco", "flickr30k"] | None = Field(
        None, description="the published results that apply to its test split"
    )
    bank: BankSpec | None = Field(None, description="replaces the top-level `bank` for this data set; null: no bank")

    def source_names(self) -> list[str]:
        """Names under `sources` that it can be downloaded from."""
        return []

    def split_names(self) -> list[str] | None:
        """The splits that its entry lists; None if only its files tell."""
        return None

    def listed_splits(self) -> list[str]:
        """The splits that its entry names: all of them, or at least those of a declared size."""
        names = self.split_names()
        return list(self.expect) if names is None else names

    def judgment_files(self) -> dict[str, str]:
        """Files with human relevance judgments, by source."""
        return {}


class ShapesDataset(_Dataset):
    """Synthetic scenes of shapes whose captions' positives are known by construction."""

    kind: Literal["shapes"]
    images: dict[Name, Count] = Field({"train": 4000, "val": 400, "test": 400}, description="images of each split")
    image_size: Annotated[int, Field(ge=16)] = Field(48, description="width and height in pixels")

    def split_names(self) -> list[str]:
        """The splits that its entry lists."""
        return list(self.images)


class _Route(Model):
    """One way to download a data set; the first route that offers a split and succeeds is used."""

    annotations: Name | None = Field(None, description="one of `sources`: Karpathy's JSON, or a zip that holds it")
    member: str = Field("", description="name of the JSON inside that zip")
    splits: list[Name] | None = Field(None, description="splits that this route offers; default: all")


class ArchivesRoute(_Route):
    """Annotations, and zip archives of the images."""

    kind: Literal["archives"]
    annotations: Name = Field(description="one of `sources`: Karpathy's JSON, or a zip that holds it")
    images: Annotated[list[Name], Field(min_length=1)] = Field(description="zip archives among `sources`")

    def image_sources(self) -> list[str]:
        """Names under `sources` that hold its images."""
        return self.images


class ShardsRoute(_Route):
    """webdataset shards: SPLIT/nshards.txt, and SPLIT/0.tar, 1.tar, ... with KEY.jpg and KEY.txt (caption per line)."""

    kind: Literal["shards"]
    shards: Name = Field(description="one of `sources`: a repository on the hub, or a folder")

    def image_sources(self) -> list[str]:
        """The name under `sources` that holds its images."""
        return [self.shards]


Route = Annotated[ArchivesRoute | ShardsRoute, Field(discriminator="kind")]


class KarpathyDataset(_Dataset):
    """Photographs with captions in the Karpathy splits."""

    kind: Literal["karpathy"]
    source: str | None = Field(None, description="folder inside the mirror, or an absolute path; tried before `routes`")
    annotations: str = Field(
        "captions.jsonl", description="JSON lines, or Karpathy's .json, inside the source; may be gzipped"
    )
    images: str = Field("images", description="folder of the images inside the source")
    routes: list[Route] = Field([], description="where else to get the files, tried in order")
    captions_per_image: Count | Literal["all"] = 5
    extended: list[Literal["cxc", "eccv"]] = Field(
        [], description="further positives of COCO's test split: CrissCrossed Captions, ECCV Caption, or both"
    )
    judgments: dict[Literal["expert", "crowd"], str] = Field(
        {}, description="files inside the source with human judgments of further pairs, in the format of Flickr8k's"
    )

    @model_validator(mode="after")
    def _check_has_source(self) -> "KarpathyDataset":
        if self.source is None and not self.routes:
            raise ValueError("no source of its files; give `source` (a folder) or `routes`")
        return self

    def source_names(self) -> list[str]:
        """Names under `sources` that it can be downloaded from."""
        names = [name for route in self.routes for name in [route.annotations, *route.image_sources()]]
        return sorted({name for name in names if name is not None})

    def judgment_files(self) -> dict[str, str]:
        """Files with human relevance judgments, by source."""
        return {str(source): file for source, file in self.judgments.items()}


class TableDataset(_Dataset):
    """A folder of images and a table of captions."""

    kind: Literal["table"]
    source: str = Field(description="folder inside the mirror, or an absolute path")
    table: str = Field("captions.csv", description="CSV or parquet with columns image and caption, inside the source")


class EmbeddingsDataset(_Dataset):
    """Embeddings made elsewhere; no encoder runs."""

    kind: Literal["embeddings"]
    splits: dict[Name, str] = Field(
        description="for each split a file or folder inside the mirror, or an absolute path"
    )

    def split_names(self) -> list[str]:
        """The splits that its entry lists."""
        return list(self.splits)


class ClassesDataset(_Dataset):
    """Labelled images: each ranks the classes, whose texts are prompts with the class names."""

    kind: Literal["classes"]
    files: ClassFiles
    templates: Annotated[list[Template], Field(min_length=1)] | None = Field(
        None, description="prompts with {c} in place of the class name; default: those of the files"
    )
    held_out: dict[Name, HeldOut] = Field({}, description="further splits, drawn from those of the files")
    limit: dict[Name, Count] = Field({}, description="largest number of images of each split: a seeded sample")
    expect: dict[Name, ClassCounts] = Field(  # type: ignore[assignment]
        {}, description="declared size of each split; a different size is an error"
    )

    @model_validator(mode="after")
    def _check_splits(self) -> "ClassesDataset":
        names, origins = self.files.split_names(), [held.of for held in self.held_out.values()]
        for split, held in self.held_out.items():
            if split == held.of or split in (names or ()):
                raise ValueError(f"held_out.{split}: the files have this split; name another one")
            if held.of in self.held_out or (names is not None and held.of not in names):
                raise ValueError(f"held_out.{split}.of: the files have no split {held.of!r}")
        if len(set(origins)) < len(origins):
            raise ValueError("held_out: only one split can be drawn from another one")
        unknown = (
            None if names is None else next((key for key in self.limit if key not in [*names, *self.held_out]), None)
        )
        if unknown is not None:
            raise ValueError(f"limit.{unknown}: there is no split of this name")
        return self

    def source_names(self) -> list[str]:
        """Names under `sources` that it can be downloaded from."""
        return self.files.source_names()

    def split_names(self) -> list[str] | None:
        """The splits that its entry lists; None if only its files tell."""
        names = self.files.split_names()
        return None if names is None else [*names, *self.held_out]


StoredDatasetSpec = Annotated[
    ShapesDataset | KarpathyDataset | TableDataset | EmbeddingsDataset | ClassesDataset, Field(discriminator="kind")
]


class VariantDataset(Model):
    """Another data set, its base, without the right answers to a share of the queries.

    It has the files, splits and embeddings of its base. The galleries lack the images that are drawn, and the captions
    of these images; all images and captions remain queries.
    """

    kind: Literal["variant"]
    of: Name = Field(description="the base: a data set that is not a variant itself")
    absent: Annotated[float, Field(gt=0, lt=1)] = Field(description="share of the images that are drawn in each split")
    seed: int = Field(0, description="seed of the draw")
    benchmark: ClassVar[None] = None
    """Published results do not apply to smaller galleries."""


DatasetSpec = Annotated[
    ShapesDataset | KarpathyDataset | TableDataset | EmbeddingsDataset | ClassesDataset | VariantDataset,
    Field(discriminator="kind"),
]
