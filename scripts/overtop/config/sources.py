"""`sources` in config.yaml: where files are downloaded from."""

from typing import Annotated, Literal

from pydantic import Field

from overtop.config.base import Model

Address = Annotated[str, Field(pattern=r"^https?://\S+$")]
Bytes = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FileSource(Model):
    """One file, such as an archive, that several servers may have."""

    kind: Literal["file"]
    addresses: list[Address] = Field(description="tried in this order; none: the file is put in its place by hand")
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = Field(
        description="its name in data/downloads/NAME"
    )
    bytes: Bytes | None = Field(None, description="its size, if known")
    sha256: Sha256 | None = Field(None, description="its digest, if known; else the first download's is kept")
    licence: str
    terms: str | None = Field(None, description="what must be accepted before it may be used, and where")


class HubSource(Model):
    """Files of a repository of the Hugging Face hub."""

    kind: Literal["hub"]
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] = Field(description="OWNER/NAME")
    repo_type: Literal["dataset", "model"] = "dataset"
    revision: str = Field("main", description="branch, tag or commit")
    licence: str
    terms: str | None = Field(None, description="what must be accepted before it may be used, and where")


class FolderSource(Model):
    """Files in a folder of yours, read where they lie."""

    kind: Literal["folder"]
    path: str = Field(description="absolute, or inside the mirror")
    licence: str = ""
    terms: None = None


SourceSpec = Annotated[FileSource | HubSource | FolderSource, Field(discriminator="kind")]
