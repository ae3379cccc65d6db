"""`datasets` in config.yaml: where each comes from and how it is cut into shards."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from overtop.config.base import Count, Model, Name


class Counts(Model):
    """How large a split is declared to be; `split` proves it."""

    images: Count
    captions: Count


class Shards(Model):
    """In how many files the embeddings of each modality are written: the unit of parallel and repeated work."""

    image: Count = 1
    text: Count = 1


class _Dataset(Model):
    shards: Shards = Shards()
    on_error: Literal["fail", "skip"] = Field(
        "fail", description="what an unreadable or missing image or NaN embedding does"
    )
    expect: dict[Name, Counts] = Field({}, description="declared size of splits; another size is an error")
    benchmark: Literal["coco", "flickr30k"] | None = Field(
        None, description="the published figures that apply to its test split"
    )


class ShapesDataset(_Dataset):
    """Drawn scenes whose captions' true positives are known by construction."""

    kind: Literal["shapes"]
    images: dict[Name, Count] = Field({"train": 4000, "val": 400, "test": 400}, description="images of each split")
    image_size: Annotated[int, Field(ge=16)] = 48


class _Route(Model):
    """One way to the files of a data set; the first that serves a split and succeeds is taken."""

    annotations: Name | None = Field(None, description="one of `sources`: Karpathy's JSON, or a zip that holds it")
    member: str = Field("", description="the JSON inside that zip")
    splits: list[Name] | None = Field(None, description="splits to be had this way; default: all")


class ArchivesRoute(_Route):
    """Annotations, and zips that hold the images."""

    kind: Literal["archives"]
    annotations: Name = Field(description="one of `sources`: Karpathy's JSON, or a zip that holds it")
    images: Annotated[list[Name], Field(min_length=1)] = Field(description="zips among `sources`")

    def places(self) -> list[str]:
        """The sources of its images."""
        return self.images


class ShardsRoute(_Route):
    """webdataset shards: SPLIT/nshards.txt and SPLIT/0.tar, 1.tar, ... with KEY.jpg and KEY.txt, a caption a line."""

    kind: Literal["shards"]
    shards: Name = Field(description="one of `sources`: a repository on the hub, or a folder")

    def places(self) -> list[str]:
        """The source of its images."""
        return [self.shards]


Route = Annotated[ArchivesRoute | ShardsRoute, Field(discriminator="kind")]


class KarpathyDataset(_Dataset):
    """Photographs with captions in the Karpathy splits."""

    kind: Literal["karpathy"]
    source: str | None = Field(None, description="folder inside the mirror, or an absolute path; comes before `routes`")
    annotations: str = Field(
        "captions.jsonl", description="JSON lines, or Karpathy's .json, inside the source; may be gzipped"
    )
    images: str = Field("images", description="folder of the images inside the source")
    routes: list[Route] = Field([], description="where else the files are to be had, tried in order")
    captions_per_image: Count | Literal["all"] = 5
    extended: list[Literal["cxc", "eccv"]] = Field(
        [], description="known positives of COCO's test split: CrissCrossed Captions, ECCV Caption, or both together"
    )
    judgments: dict[Literal["expert", "crowd"], str] = Field(
        {}, description="files inside the source where people judge further pairs, in the form of Flickr8k's"
    )

    @model_validator(mode="after")
    def _some_way(self) -> "KarpathyDataset":
        if self.source is None and not self.routes:
            raise ValueError("no way to its files; give `source` (a folder) or `routes`")
        return self


class TableDataset(_Dataset):
    """Your own images and a table of captions."""

    kind: Literal["table"]
    source: str = Field(description="folder inside the mirror, or an absolute path")
    table: str = Field("captions.csv", description="CSV or parquet with columns image and caption, inside the source")


class EmbeddingsDataset(_Dataset):
    """Embeddings made elsewhere; no encoder runs."""

    kind: Literal["embeddings"]
    splits: dict[Name, str] = Field(
        description="for each split a file or folder inside the mirror, or an absolute path"
    )


DatasetSpec = Annotated[ShapesDataset | KarpathyDataset | TableDataset | EmbeddingsDataset, Field(discriminator="kind")]
