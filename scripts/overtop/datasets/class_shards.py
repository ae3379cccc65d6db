"""Labelled images from webdataset shards, in the layout of the hub's repositories of CLIP_benchmark."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from overtop.config.classes import ClassShards
from overtop.datasets.labelled import LabelledImage, LabelledImages, parse_class_names, parse_templates
from overtop.datasets.raw import FetchContext, resolve_source
from overtop.datasets.webdataset import iterate_shards, parse_label, read_samples
from overtop.errors import MissingFileError, OvertopError

NAMES_FILE = "classnames.txt"
TEMPLATES_FILE = "zeroshot_classification_templates.txt"


@contextmanager
def open_images(key: str, files: ClassShards, split: str, context: FetchContext) -> Iterator[LabelledImages]:
    """The labelled images of a split; a shard is fetched when its first image is requested.

    Args:
        key: the key of the files in config.yaml, for messages.
        files: their entry.
        split: name of the split.
        context: settings of the run.

    Raises:
        OvertopError: a file cannot be fetched, or is damaged.
    """
    fetch = _file_fetcher(key, files, context)
    class_names = parse_class_names(*_read_text(fetch(NAMES_FILE)))
    try:
        templates = parse_templates(*_read_text(fetch(TEMPLATES_FILE)))
    except MissingFileError:
        templates = []

    def iterate() -> Iterator[LabelledImage]:
        for path in iterate_shards(fetch, files.splits[split]):
            for sample in read_samples(path, "cls"):
                label = parse_label(path, sample, len(class_names))
                yield LabelledImage(sample.name, (label,), partial(bytes, sample.image))

    yield LabelledImages(class_names, templates, iterate, is_shuffled=True)


def _file_fetcher(key: str, files: ClassShards, context: FetchContext) -> Callable[[str], Path]:
    """A function that returns the local path of a file of the source."""
    if files.download is not None:
        return lambda member: context.fetch_files(str(files.download), [member])[0]
    folder = resolve_source(f"{key}.source", str(files.source), context.mirror)

    def find(member: str) -> Path:
        if not (folder / member).is_file():
            raise MissingFileError(f"{key}.source: {folder / member} is missing; complete the folder")
        return folder / member

    return find


def _read_text(path: Path) -> tuple[str, str]:
    """The name and the content of a text file."""
    try:
        return str(path), path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise OvertopError(f"{path}: is not UTF-8 text ({error}); the file is damaged, get it again") from error
