"""Where the labelled images of a data set of classes are, and which of them form a split."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from overtop.config.base import Count, Model, Name

DEFAULT_TEMPLATE = "a photo of a {c}."


class _Files(Model):
    """Labelled images in some layout."""

    def split_names(self) -> list[str] | None:
        """The splits that the entry lists; None if only its files tell."""
        return None

    def source_names(self) -> list[str]:
        """Names under `sources` that the files are downloaded from."""
        return []


class _StoredFiles(_Files):
    """Files in a local folder or archive, or among `sources`."""

    source: str | None = Field(None, description="folder or archive inside the mirror, or an absolute path")
    download: Name | None = Field(None, description="instead: one of `sources`")

    @model_validator(mode="after")
    def _check_has_source(self) -> "_StoredFiles":
        if (self.source is None) == (self.download is None):
            raise ValueError("give either `source` (a folder or archive) or `download` (one of `sources`)")
        return self

    def source_names(self) -> list[str]:
        """Names under `sources` that the files are downloaded from."""
        return [self.download] if self.download is not None else []


class ClassShards(_StoredFiles):
    """webdataset shards, as on the hub: SPLIT/nshards.txt, SPLIT/0.tar, 1.tar, ... with KEY.jpg and KEY.cls.

    The class names are in classnames.txt, and the templates in zeroshot_classification_templates.txt.
    """

    layout: Literal["shards"]
    splits: dict[Name, str] = Field({"train": "train", "test": "test"}, description="folder of each split")

    def split_names(self) -> list[str]:
        """The splits that the entry lists."""
        return list(self.splits)


class ClassFolders(_StoredFiles):
    """A folder per class with its images, in a folder, a zip or a tar archive."""

    layout: Literal["folders"]
    splits: dict[Name, str] = Field({"test": "."}, description="folder of each split, with the folders of its classes")
    names: str | None = Field(
        None, description="file with a folder's name, a tab and the name of the class per line, such as words.txt"
    )
    ignore: list[str] = Field([], description="folders that are no classes")

    def split_names(self) -> list[str]:
        """The splits that the entry lists."""
        return list(self.splits)


class ClassTable(_Files):
    """A folder of images and a table with one row per image and class."""

    layout: Literal["table"]
    source: str = Field(description="folder inside the mirror, or an absolute path")
    table: str = Field(
        "labels.csv", description="CSV or parquet with columns image, class and optionally split, inside the source"
    )


class CocoClasses(_Files):
    """The object categories of COCO: an image has all categories of which it shows an instance."""

    layout: Literal["coco"]
    images: Name = Field(description="one of `sources`: zip archive of the images")
    annotations: Name = Field(description="one of `sources`: zip archive of the annotations")
    splits: dict[Name, str] = Field(description="for each split its JSON of instances inside that archive")

    def split_names(self) -> list[str]:
        """The splits that the entry lists."""
        return list(self.splits)

    def source_names(self) -> list[str]:
        """Names under `sources` that the files are downloaded from."""
        return [self.annotations, self.images]


class ShapesClasses(_Files):
    """Generated scenes of coloured shapes, of which exactly one is large; its colour and kind are the class."""

    layout: Literal["shapes"]
    images: dict[Name, Count] = Field({"train": 4000, "val": 400, "test": 400}, description="images of each split")
    image_size: Annotated[int, Field(ge=16)] = Field(48, description="width and height in pixels")

    def split_names(self) -> list[str]:
        """The splits that the entry lists."""
        return list(self.images)


ClassFiles = Annotated[
    ClassShards | ClassFolders | ClassTable | CocoClasses | ShapesClasses, Field(discriminator="layout")
]

Template = Annotated[str, Field(pattern=r"\{c\}")]
"""A prompt, in which `{c}` stands for the name of a class."""
