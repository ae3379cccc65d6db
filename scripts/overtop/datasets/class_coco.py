"""Images with several labels: the object categories of COCO, from the annotations of instances.

An image has each category of which at least one instance is annotated, crowds included. As is common for this
task, images without any instance are left out (48 of the 5,000 of val2017): they have no right answer to rank.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath

from overtop.config.classes import CocoClasses
from overtop.datasets.labelled import LabelledImage, LabelledImages
from overtop.datasets.raw import FetchContext
from overtop.datasets.routes import fetch_member
from overtop.datasets.trees import find_tree, open_tree
from overtop.errors import OvertopError
from overtop.storage.foreign import report_damage


@contextmanager
def open_images(key: str, files: CocoClasses, split: str, context: FetchContext) -> Iterator[LabelledImages]:
    """The labelled images of a split; classes are ordered by COCO's number of the category.

    Args:
        key: the key of the files in config.yaml, for messages.
        files: their entry.
        split: name of the split.
        context: settings of the run.

    Raises:
        OvertopError: a source cannot be fetched or is damaged, or an image is missing.
    """
    place, content = fetch_member(files.annotations, files.splits[split], context)
    class_names, labels = parse_instances(place, content)
    with open_tree(find_tree(files.images, context)) as tree:
        path_of = {PurePosixPath(name).name: name for name in tree.names}
        missing = [image for image in labels if image not in path_of]
        if missing:
            raise OvertopError(
                f"{tree.place}: no image {missing[0]!r}; {len(missing)} images of {place} are missing in total; "
                f"correct {key}.images"
            )

        def iterate() -> Iterator[LabelledImage]:
            for image, numbers in labels.items():
                yield LabelledImage(image, numbers, partial(tree.read, path_of[image]))

        yield LabelledImages(class_names, [], iterate)


def parse_instances(place: str, content: bytes) -> tuple[list[str], dict[str, list[int]]]:
    """The names of the categories, and for each image with instances the sorted numbers of its categories, from 0.

    Args:
        place: name of the file, for messages.
        content: COCO's JSON of instances.

    Raises:
        OvertopError: the content is not such a JSON, or an annotation names an unknown image or category.
    """
    fix = "it needs categories, images and annotations, get it again"
    with report_damage(place, fix, "not COCO's annotations of instances"):
        values = json.loads(content)
        categories = sorted(values["categories"], key=lambda category: category["id"])
        number_of = {category["id"]: number for number, category in enumerate(categories)}
        file_of = {image["id"]: image["file_name"] for image in values["images"]}
        if len(number_of) < len(categories) or len(file_of) < len(values["images"]):
            raise ValueError("an id of a category or an image occurs more than once")
        labels: dict[str, set[int]] = defaultdict(set)
        for annotation in values["annotations"]:
            labels[file_of[annotation["image_id"]]].add(number_of[annotation["category_id"]])
        class_names = [category["name"] for category in categories]
        if not all(isinstance(name, str) for name in (*class_names, *file_of.values())):
            raise TypeError("a name is no text")
    return class_names, {file: sorted(labels[file]) for file in file_of.values() if file in labels}
