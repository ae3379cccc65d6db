"""Files of the Hugging Face hub, through its own client, and held against what the hub states of them.

The client's environment variables count as everywhere: HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT,
HF_HUB_DISABLE_XET and so on.
"""

import hashlib
import logging
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

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
from overtop.downloads.digests import Digest, Expected
from overtop.downloads.http import publish
from overtop.downloads.retries import Absent, Failed, Transient, failed_status, persist

T = TypeVar("T")

logger = logging.getLogger(__name__)


def page(source: HubSource) -> str:
    """The address of a repository's page."""
    return f"{constants.ENDPOINT}/{'datasets/' if source.repo_type == 'dataset' else ''}{source.repo}"


def download(source: HubSource, member: str, target: Path, expected: Expected) -> Digest:
    """Fetch one file of a repository.

    The client resumes within a call, whatever breaks off; what a killed call left it cannot use, so that a kill costs
    the file that was on its way, none of the others.

    Args:
        source: the repository.
        member: path of the file in it.
        target: where to put the file; its folder exists.
        expected: its size and sha256, as far as known from elsewhere.

    Returns:
        The digest of the file.

    Raises:
        Failed: the repository or file does not exist, is gated, cannot be reached, or is not what the hub or
            `expected` says.
    """
    try:
        return _download(source, member, target, expected)
    except Failed as failure:
        kind = Absent if isinstance(failure, Absent) else Failed
        raise kind(f"{page(source)} {failure}") from failure


def _download(source: HubSource, member: str, target: Path, expected: Expected) -> Digest:
    stated = persist(partial(_ask, source, member, partial(_stated, source, member)))
    etag = stated.etag or ""
    promised = Expected("the hub", stated.size, etag if re.fullmatch("[0-9a-f]{64}", etag) else None)
    expected.compare("bytes", promised.bytes)
    expected.compare("sha256", promised.sha256)
    # Its own folder, so that no file has its final name before it is verified.
    staging = target.with_name(f".{target.name}.hub")
    shutil.rmtree(staging, ignore_errors=True)
    fetch = partial(
        hf_hub_download, source.repo, member, repo_type=source.repo_type, revision=stated.commit_hash, local_dir=staging
    )
    try:
        path = Path(persist(partial(_ask, source, member, fetch)))
        digest = promised.check(path)
        expected.compare("sha256", digest.sha256)
        if re.fullmatch("[0-9a-f]{40}", etag) and _git_digest(path) != etag:
            raise Failed(f"gave {member} with git digest {_git_digest(path)}, expected {etag} (the hub)")
        publish(path, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    logger.info("fetched %s from %s at %s: sha256 %s", target, page(source), stated.commit_hash, digest.sha256)
    return digest


def _stated(source: HubSource, member: str) -> HfFileMetadata:
    url = hf_hub_url(source.repo, member, repo_type=source.repo_type, revision=source.revision)
    return get_hf_file_metadata(url)


def _ask(source: HubSource, member: str, action: Callable[[], T]) -> T:
    """Call the client, and tell its exceptions in words."""
    try:
        return action()
    except GatedRepoError as error:
        raise Failed("is gated: accept its terms on that page, then `hf auth login` or set HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        raise Failed("does not exist, or is private and needs `hf auth login`") from error
    except RevisionNotFoundError as error:
        raise Failed(f"has no revision {source.revision!r}") from error
    except LocalEntryNotFoundError as error:  # the client's word for "no answer"
        raise Transient(f"cannot be reached for {member} ({_first_line(error.__cause__ or error)})") from error
    except EntryNotFoundError as error:
        raise Absent(f"has no file {member!r} at revision {source.revision!r}") from error
    except HfHubHTTPError as error:
        hint = "; is the token right? `hf auth login`" if error.response.status_code in (401, 403) else ""
        raise failed_status(error.response.status_code, error.response.headers.get("Retry-After"), hint) from error
    except HTTPError as error:  # what the client's transport raises
        raise Transient(f"broke off {member} ({_first_line(error)})") from error
    except RuntimeError as error:  # what Xet, the hub's own protocol for large files, raises
        raise Transient(
            f"broke off {member} ({_first_line(error)}); HF_HUB_DISABLE_XET=1 takes plain HTTP instead"
        ) from error
    except OSError as error:
        if error.errno is not None:  # the disk
            raise
        raise Transient(f"broke off {member} ({_first_line(error)})") from error  # a size that does not fit


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _git_digest(path: Path) -> str:
    """What git, and so the hub, calls a small file by: sha1 over a header and the content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
