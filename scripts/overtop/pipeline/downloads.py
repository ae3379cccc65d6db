"""What a run downloads: whether the disk has room for it, and what to fetch by hand where there is no network."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from overtop.config.datasets import KarpathyDataset
from overtop.config.model import Config
from overtop.config.sources import FileSource, FolderSource, HubSource
from overtop.errors import OvertopError
from overtop.pipeline.costs import NETWORKS

GB = 1e9
HUB = "https://huggingface.co"


class Download(NamedTuple):
    """A file, or the files of a repository, that are not in data/downloads yet.

    Attributes:
        path: the file, or the folder of the files of a repository.
        bytes: its size; None if it is not known.
        addresses: where it can be downloaded.
    """

    path: Path
    bytes: int | None
    addresses: tuple[str, ...]


def pending_downloads(
    config: Config, splits: Iterable[tuple[str, str]], encoders: Iterable[str], data: Path
) -> list[Download]:
    """What jobs would download: for each data set the sources of its first route, and the weights of each encoder.

    Args:
        config: the configuration.
        splits: data set and split of the jobs that fetch one.
        encoders: those whose weights are downloaded.
        data: the data folder.
    """
    names = dict.fromkeys(name for dataset, split in splits for name in _first_sources(config, dataset, split))
    downloads = [_of_source(config, name, data / "downloads" / name) for name in names]
    downloads += [_of_weights(config, name, data / "downloads") for name in encoders]
    missing = (each for each in downloads if each is not None and not each.path.exists())
    return list({download.path: download for download in missing}.values())


def check_disk(downloads: Iterable[Download], data: Path) -> None:
    """Check that the disk has room for the files of known size.

    Raises:
        OvertopError: it has not.
    """
    needed = sum(download.bytes or 0 for download in downloads)
    existing = next(folder for folder in (data, *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise OvertopError(
            f"{data}: the run downloads at least {needed / GB:.1f} GB, and {free / GB:.1f} GB are free; free some "
            f"space, or make `{data}` a link to a folder on a larger disk"
        )


def describe_downloads(downloads: Iterable[Download]) -> Iterator[str]:
    """Lines that say where each file can be downloaded, and where it belongs; none if nothing is missing."""
    missing = list(downloads)
    if not missing:
        return
    known = sum(download.bytes or 0 for download in missing) / GB
    yield (
        f"Not downloaded yet: {len(missing)} files or repositories, {known:.1f} GB of known size. Run the same command "
        "where there is network, or put them here by hand:"
    )
    for download in missing:
        size = f"{download.bytes / GB:.2f} GB" if download.bytes else "size unknown"
        yield f"  {download.path} ({size}): {' or '.join(download.addresses)}"


def _first_sources(config: Config, dataset: str, split: str) -> list[str]:
    """Names of the sources of a split; those of the first route, where there are several."""
    spec = config.stored_dataset(dataset)
    if not isinstance(spec, KarpathyDataset):
        return spec.source_names()
    for route in spec.routes:
        if route.splits is None or split in route.splits:
            return [name for name in (route.annotations, *route.image_sources()) if name is not None]
    return []


def _of_source(config: Config, name: str, folder: Path) -> Download | None:
    """The download of an entry of `sources`; None for a local folder."""
    match config.sources[name]:
        case FileSource() as source:
            return Download(folder / source.file, source.bytes, tuple(source.addresses) or ("only by hand",))
        case HubSource() as source:
            kind = "datasets/" if source.repo_type == "dataset" else ""
            return Download(folder, None, (f"{HUB}/{kind}{source.repo}",))
        case FolderSource():
            return None


def _of_weights(config: Config, encoder: str, folder: Path) -> Download:
    """The folder of the weights of an encoder."""
    spec = config.encoders[encoder]
    network = NETWORKS.get(spec.architecture.removesuffix("-quickgelu"))
    size = round(network.weights * GB) if network else None
    if spec.hub:
        return Download(folder / spec.hub.replace("/", "--"), size, (f"{HUB}/{spec.hub}",))
    return Download(folder / f"{spec.architecture}--{spec.tag}", size, (f"open_clip's weights {spec.tag!r}",))
