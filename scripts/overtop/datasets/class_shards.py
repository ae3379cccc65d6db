"""Labelled images from webdataset shards, in the layout of the hub's repositories of CLIP_benchmark."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from overtop.config.classes import ClassShards
from overtop.datasets.labelled import LabelledImage, LabelledImages, parse_class_names, parse_templates
from overtop.datasets.raw import FetchContext, resolve_source
from overtop.datasets.webdataset import iterate_shards, parse_label, read_samples
from overtop.errors import MissingFileError
from overtop.storage.foreign import read_text

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
    names_file = fetch(NAMES_FILE)
    class_names = parse_class_names(str(names_file), read_text(names_file))
    try:
        templates_file = fetch(TEMPLATES_FILE)
        templates = parse_templates(str(templates_file), read_text(templates_file))
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
