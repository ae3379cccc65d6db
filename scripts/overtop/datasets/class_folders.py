"""Labelled images from a folder per class, in a folder or an archive.

All images below the folder of a class, at any depth, are its images. TinyImageNet's validation split has another form:
`images/NAME` and `val_annotations.txt`, whose lines start with a name, a tab and the folder of a class.

The classes are the sorted folders of all splits, so that they have the same numbers in every split. Their names are in
a table such as WordNet's `words.txt`, of which the first synonym is used; without a table the folder's name is
used, without a leading number (`056.`) and with spaces for `_` and `-`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath

from overtop.config.classes import ClassFolders
from overtop.datasets.labelled import LabelledImage, LabelledImages
from overtop.datasets.raw import FetchContext, resolve_source
from overtop.datasets.trees import Tree, find_tree, open_tree
from overtop.datasets.webdataset import IMAGE_SUFFIXES
from overtop.errors import OvertopError

ANNOTATIONS_FILE = "val_annotations.txt"


@contextmanager
def open_images(key: str, files: ClassFolders, split: str, context: FetchContext) -> Iterator[LabelledImages]:
    """The labelled images of a split.

    Args:
        key: the key of the files in config.yaml, for messages.
        files: their entry.
        split: name of the split.
        context: settings of the run.

    Raises:
        OvertopError: the source cannot be fetched, is damaged, or has no such folder or no name for a class.
    """
    if files.download is not None:
        path = find_tree(files.download, context)
    else:
        path = resolve_source(f"{key}.source", str(files.source), context.mirror)
    with open_tree(path) as tree:
        classes_of = {name: _find_images(tree, folder, files.ignore) for name, folder in files.splits.items()}
        images = classes_of[split]
        if not images:
            raise OvertopError(
                f"{tree.place}: no image in {files.splits[split]}/CLASS; correct {key}.splits.{split}. Its folders: "
                f"{', '.join(sorted({name.split('/')[0] for name in tree.names if '/' in name})[:5]) or 'none'}"
            )
        classes = sorted({folder for found in classes_of.values() for folder in found.values()})
        number_of = {folder: number for number, folder in enumerate(classes)}

        def iterate() -> Iterator[LabelledImage]:
            for image, folder in images.items():
                name = PurePosixPath(image).relative_to(files.splits[split]).as_posix()
                yield LabelledImage(name, (number_of[folder],), partial(tree.read, image))

        yield LabelledImages(_name_classes(tree, classes, files.names), [], iterate)


def _find_images(tree: Tree, folder: str, ignored: Sequence[str]) -> dict[str, str]:
    """For each image of a split, in the order of the tree, the folder of its class."""
    annotations = (PurePosixPath(folder) / ANNOTATIONS_FILE).as_posix()
    if annotations in tree.names:
        return _parse_annotations(tree, annotations)
    found = {}
    for name in tree.names:
        path = PurePosixPath(name)
        if (
            path.suffix[1:].lower() not in IMAGE_SUFFIXES
            or path.name.startswith(".")
            or not path.is_relative_to(folder)
        ):
            continue
        parts = path.relative_to(folder).parts
        if len(parts) > 1 and parts[0] not in (*ignored, "__MACOSX"):
            found[name] = parts[0]
    return found


def _parse_annotations(tree: Tree, annotations: str) -> dict[str, str]:
    names, found = set(tree.names), {}
    for number, line in enumerate(tree.read(annotations).decode(errors="replace").splitlines(), start=1):
        image, *rest = line.split("\t")
        path = (PurePosixPath(annotations).parent / "images" / image).as_posix()
        if not rest or path not in names:
            raise OvertopError(f"{tree.place}/{annotations}, line {number}: {path} is missing or has no class")
        found[path] = rest[0]
    return found


def _name_classes(tree: Tree, folders: Sequence[str], table: str | None) -> list[str]:
    """The name of each class."""
    if table is None:
        return [re.sub(r"[_-]+", " ", re.sub(r"^\d+[._-]", "", folder)).strip() or folder for folder in folders]
    if table not in tree.names:
        raise OvertopError(f"{tree.place}: no file {table!r} with the names of the classes; correct `names`")
    lines = (line.split("\t", 1) for line in tree.read(table).decode(errors="replace").splitlines() if "\t" in line)
    name_of = {folder.strip(): names.split(",")[0].strip() for folder, names in lines}
    for folder in folders:
        if not name_of.get(folder):
            raise OvertopError(
                f"{tree.place}/{table}: class {folder!r} has no name; add a line with it, a tab and a name"
            )
    return [name_of[folder] for folder in folders]
