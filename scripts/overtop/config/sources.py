"""`sources` in config.yaml: where files are downloaded from."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from overtop.config.base import Model, Name, Repository


def _check_address(address: str) -> str:
    parts = urlsplit(address)
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a name or password, which logs and records would show; put them into ~/.netrc instead")
    if not parts.hostname:
        raise ValueError("names no host")
    return address


Address = Annotated[str, Field(pattern=r"^https?://\S+$"), AfterValidator(_check_address)]
Bytes = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FileSource(Model):
    """One file, such as an archive, at one or more addresses."""

    kind: Literal["file"]
    addresses: list[Address] = Field(description="URLs, tried in this order; empty: the file is placed by hand")
    file: Name = Field(description="file name in data/downloads/NAME")
    bytes: Bytes | None = Field(None, description="size, if known")
    sha256: Sha256 | None = Field(
        None, description="digest, if known; otherwise that of the first download is recorded"
    )
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = Field(
        None, description="digest, if only this older one is known"
    )
    licence: str = Field(description="licence of the files")
    terms: str | None = Field(None, description="terms that must be accepted before use, and where")


class HubSource(Model):
    """Files in a repository on the Hugging Face hub."""

    kind: Literal["hub"]
    repo: Repository = Field(description="OWNER/NAME")
    repo_type: Literal["dataset", "model"] = Field("dataset", description="kind of repository")
    revision: str = Field("main", description="branch, tag or commit")
    licence: str = Field(description="licence of the files")
    terms: str | None = Field(None, description="terms that must be accepted before use, and where")


class FolderSource(Model):
    """Files in a local folder, read in place."""

    kind: Literal["folder"]
    path: str = Field(description="absolute, or inside the mirror")
    licence: str = Field("", description="licence of the files")
    terms: None = Field(None, description="terms of use")


SourceSpec = Annotated[FileSource | HubSource | FolderSource, Field(discriminator="kind")]
