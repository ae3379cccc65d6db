"""`datasets` in config.yaml: where each comes from and how it is split into shards."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from overtop.config.base import Count, Model, Name
from overtop.config.classes import ClassFiles, Template
from overtop.config.dataset_base import ClassCounts, DividedDataset, StoredDataset, UndividedDataset

WITHOUT_PAIRS = ("images", "texts")
"""Kinds of data sets of one modality."""

WHOLE = "all"
"""Their only split."""


class ShapesDataset(DividedDataset):
    """Synthetic scenes of shapes whose captions' positives are known by construction."""

    kind: Literal["shapes"]
    images: dict[Name, Count] = Field({"train": 4000, "val": 400, "test": 400}, description="images of each split")
    image_size: Annotated[int, Field(ge=16)] = Field(48, description="width and height in pixels")

    def file_splits(self) -> list[str]:
        """The splits of its files."""
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


class KarpathyDataset(DividedDataset):
    """Photographs with captions in the Karpathy splits."""

    kind: Literal["karpathy"]
    source: str | None = Field(None, description="folder inside the mirror, or an absolute path; tried before `routes`")
    annotations: str = Field(
        "captions.jsonl", description="JSON lines, or Karpathy's .json, inside the source; may be gzipped"
    )
    images: str = Field("images", description="folder of the images inside the source")
    routes: list[Route] = Field([], description="where else to get the files, tried in order")
    captions_per_image: Count | Literal["all"] = Field(
        5, description="captions of each image that are used; others are left out"
    )
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


class Columns(Model):
    """Names of the columns of a table of captions."""

    image: str | None = Field(None, description="column of the images; default: image, file_name, filename, path, ...")
    caption: str | None = Field(None, description="column of the captions; default: caption, text, sentence, ...")


class TableDataset(UndividedDataset):
    """A folder of images and a table of captions."""

    kind: Literal["table"]
    source: str = Field(description="folder inside the mirror, or an absolute path")
    table: str = Field(
        "captions.csv", description="CSV, TSV or parquet with the columns image and caption, inside the source"
    )
    columns: Columns = Field(Columns(), description="names of these columns, if they are unusual")
    images: str = Field(".", description="folder inside the source that the names of images are relative to")


class HuggingFaceDataset(UndividedDataset):
    """Images and captions in a folder of Hugging Face's library `datasets`: `save_to_disk`, or an image folder."""

    kind: Literal["huggingface"]
    source: str = Field(
        description="folder inside the mirror, or an absolute path: as written by save_to_disk, or images with "
        "metadata.csv, metadata.jsonl or metadata.parquet"
    )
    columns: Columns = Field(Columns(), description="names of the columns of images and captions, if they are unusual")


class EmbeddingsDataset(UndividedDataset):
    """Embeddings made elsewhere; no encoder runs."""

    kind: Literal["embeddings"]
    splits: dict[Name, str] = Field(
        description="for each split a file or folder inside the mirror, or an absolute path"
    )

    def file_splits(self) -> list[str]:
        """The splits of its files."""
        return list(self.splits)


class ClassesDataset(UndividedDataset):
    """Labelled images: each ranks the classes, whose texts are prompts with the class names."""

    kind: Literal["classes"]
    files: ClassFiles = Field(description="where the images are")
    templates: Annotated[list[Template], Field(min_length=1)] | None = Field(
        None, description="prompts with {c} in place of the class name; default: those of the files"
    )
    limit: dict[Name, Count] = Field({}, description="largest number of images of each split: a seeded sample")
    expect: dict[Name, ClassCounts] = Field(  # type: ignore[assignment]
        {}, description="declared size of each split; a different size is an error"
    )

    @model_validator(mode="after")
    def _check_limits(self) -> "ClassesDataset":
        names = self.split_names()
        unknown = None if names is None else next((key for key in self.limit if key not in names), None)
        if unknown is not None:
            raise ValueError(f"limit.{unknown}: there is no split of this name")
        return self

    def source_names(self) -> list[str]:
        """Names under `sources` that it can be downloaded from."""
        return self.files.source_names()

    def file_splits(self) -> list[str] | None:
        """The splits of its files that its entry lists; None if only its files tell."""
        names = self.files.split_names()
        return super().file_splits() if names is None else names


class ImagesDataset(StoredDataset):
    """A folder of images without captions; its only split is `all`."""

    kind: Literal["images"]
    source: str = Field(
        description="folder inside the mirror, or an absolute path; its images, also those in folders below it"
    )

    def file_splits(self) -> list[str]:
        """The only split."""
        return [WHOLE]


class TextsDataset(StoredDataset):
    """Texts without images, such as the queries of a search; its only split is `all`."""

    kind: Literal["texts"]
    source: str = Field(
        description="file inside the mirror, or an absolute path: .csv or .parquet with the column text and optionally "
        "id, or .txt with one text per line"
    )

    def file_splits(self) -> list[str]:
        """The only split."""
        return [WHOLE]


_StoredDataset = (
    ShapesDataset
    | KarpathyDataset
    | TableDataset
    | HuggingFaceDataset
    | EmbeddingsDataset
    | ClassesDataset
    | ImagesDataset
    | TextsDataset
)

StoredDatasetSpec = Annotated[_StoredDataset, Field(discriminator="kind")]


class VariantDataset(Model):
    """Another data set, its base, without the right answers to a share of the queries, or with other galleries.

    It has the files, splits and embeddings of its base. With `absent` the galleries lack the images that are drawn, and
    the captions of these images; all images and captions remain queries. With `images` only the images that are drawn
    and their captions exist, as queries and in the galleries.
    """

    kind: Literal["variant"]
    of: Name = Field(description="the base: a data set that is not a variant itself")
    absent: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="share of the images that are drawn in each split, and are absent from its galleries"
    )
    seed: int = Field(0, description="seed of the draw")
    images: Count | None = Field(None, description="instead: number of images that are drawn in each split, and kept")
    benchmark: ClassVar[None] = None
    """Published results do not apply to smaller galleries."""

    @model_validator(mode="after")
    def _check_one_draw(self) -> "VariantDataset":
        if (self.absent is None) == (self.images is None):
            raise ValueError("give either `absent` (a share) or `images` (a number)")
        return self


DatasetSpec = Annotated[_StoredDataset | VariantDataset, Field(discriminator="kind")]
