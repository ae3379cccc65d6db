"""Downloading files from the Hugging Face hub with its own client, verified against the hub's metadata.

The client's environment variables apply: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT,
HF_HUB_DISABLE_XET and so on.
"""

import hashlib
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfFileMetadata, constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from overtop.config.sources import HubSource
from overtop.downloads.digests import Digest, ExpectedDigest
from overtop.downloads.retries import DownloadError, NotFoundError, TransientError, retry, status_error
from overtop.storage.files import sync_and_rename

logger = logging.getLogger(__name__)


def page_address(source: HubSource) -> str:
    """The URL of a repository's page."""
    return f"{constants.ENDPOINT}/{'datasets/' if source.repo_type == 'dataset' else ''}{source.repo}"


def download(source: HubSource, member: str, target: Path, expected: ExpectedDigest) -> Digest:
    """Download one file of a repository.

    The client resumes interrupted transfers within a call, but cannot use what a killed call left; that file is then
    downloaded from the beginning.

    Args:
        source: the repository.
        member: path of the file in the repository.
        target: the file to create; its folder exists.
        expected: size and sha256, as far as known.

    Returns:
        The digest of the file.

    Raises:
        NotFoundError: the repository has no such file.
        GaveUpError: the hub did not answer.
        DownloadError: the file cannot be downloaded, or is not the expected one.
    """
    try:
        metadata = retry(lambda: _read_metadata(source, member))
        # Both before the download, so that a wrong file is not even transferred.
        stated = _stated_digest(metadata)
        expected.check_bytes(stated.bytes)
        expected.check_sha256(stated.sha256)
        # In its own folder, so that no file has its final name before it is verified.
        staging = target.with_name(f".{target.name}.hub")
        shutil.rmtree(staging, ignore_errors=True)
        try:
            path = retry(lambda: _transfer(source, member, metadata, staging))
            digest = stated.verify(path)
            expected.check_sha256(digest.sha256)
            _verify_git_digest(path, metadata)
            sync_and_rename(path, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except DownloadError as error:
        raise type(error)(f"{page_address(source)}: {error}") from error
    page = page_address(source)
    logger.info("downloaded %s from %s at %s: sha256 %s", target, page, metadata.commit_hash, digest.sha256)
    return digest


def _read_metadata(source: HubSource, member: str) -> HfFileMetadata:
    """Commit, size and ETag of a file; the ETag is a sha256 for large files and a git digest for small ones."""
    url = hf_hub_url(source.repo, member, repo_type=source.repo_type, revision=source.revision)
    with _client_errors(source, member):
        return get_hf_file_metadata(url)


def _stated_digest(metadata: HfFileMetadata) -> ExpectedDigest:
    """The digest that the hub states, without sha256 for small files."""
    etag = metadata.etag or ""
    return ExpectedDigest("the hub", metadata.size, etag if re.fullmatch("[0-9a-f]{64}", etag) else None)


def _transfer(source: HubSource, member: str, metadata: HfFileMetadata, folder: Path) -> Path:
    """Download the file of the commit that the metadata are of into `folder`, and return its path."""
    with _client_errors(source, member):
        return Path(
            hf_hub_download(
                source.repo, member, repo_type=source.repo_type, revision=metadata.commit_hash, local_dir=folder
            )
        )


def _verify_git_digest(path: Path, metadata: HfFileMetadata) -> None:
    """Compare a small file with the git digest that the hub states: sha1 of a header and the content."""
    etag = metadata.etag or ""
    if not re.fullmatch("[0-9a-f]{40}", etag):
        return
    content = path.read_bytes()
    git_digest = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if git_digest != etag:
        raise DownloadError(f"git digest of {path.name} is {git_digest}, expected {etag} (the hub)")


@contextmanager
def _client_errors(source: HubSource, member: str) -> Iterator[None]:
    """Convert the exceptions of the client into a `DownloadError` with a plain message."""
    try:
        yield
    except GatedRepoError as error:
        raise DownloadError("gated; accept its terms on that page, then `hf auth login` or set HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        raise DownloadError("no such repository, or it is private and needs `hf auth login`") from error
    except RevisionNotFoundError as error:
        raise DownloadError(f"no revision {source.revision!r}") from error
    except LocalEntryNotFoundError as error:  # the client raises this when the server does not answer
        raise TransientError(f"no answer for {member} ({_first_line(error.__cause__ or error)})") from error
    except EntryNotFoundError as error:
        raise NotFoundError(f"no file {member!r} at revision {source.revision!r}") from error
    except HfHubHTTPError as error:
        hint = "; is the token right? `hf auth login`" if error.response.status_code in (401, 403) else ""
        raise status_error(error.response.status_code, error.response.headers.get("Retry-After"), hint) from error
    except HTTPError as error:  # from the client's transport
        raise TransientError(f"connection failed for {member} ({_first_line(error)})") from error
    except RuntimeError as error:  # from Xet, the hub's protocol for large files
        raise TransientError(
            f"download of {member} failed ({_first_line(error)}); HF_HUB_DISABLE_XET=1 uses plain HTTP instead"
        ) from error
    except OSError as error:
        if error.errno is not None:  # an error of the disk
            raise
        raise TransientError(f"download of {member} failed ({_first_line(error)})") from error  # such as a wrong size


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
