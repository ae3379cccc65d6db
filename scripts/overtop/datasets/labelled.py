"""Labelled images of a source, whatever its layout."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from overtop.errors import OvertopError


@dataclass(frozen=True)
class LabelledImage:
    """One image of a source.

    Attributes:
        name: its file name below the folder of the images, unique within the split.
        labels: numbers of its classes, from 0; at least one.
        read: returns the encoded image; valid until the next image is requested.
    """

    name: str
    labels: Sequence[int]
    read: Callable[[], bytes]


@dataclass(frozen=True)
class LabelledImages:
    """The images of one split of a source, and the classes of all splits.

    Attributes:
        class_names: name of each class; names may repeat.
        templates: prompts with `{c}` in place of the class name; empty if the source has none.
        iterate: returns a new iterator over the images.
        is_shuffled: whether the first images are a fair sample of all.
    """

    class_names: list[str]
    templates: list[str]
    iterate: Callable[[], Iterator[LabelledImage]]
    is_shuffled: bool = False


def parse_class_names(place: str, text: str) -> list[str]:
    """The class names in a text, one per line.

    Raises:
        OvertopError: there is none, or a line within the list is empty.
    """
    names = [line.strip() for line in text.rstrip().split("\n")]
    if not all(names):
        raise OvertopError(f"{place}: class {names.index('')} has no name; write one name per line, or get it again")
    return names


def parse_templates(place: str, text: str) -> list[str]:
    """The templates in a text, one per non-empty line.

    Raises:
        OvertopError: a template has no place for the class name.
    """
    templates = [line.strip() for line in text.split("\n") if line.strip()]
    for template in templates:
        if "{c}" not in template:
            raise OvertopError(f"{place}: template {template!r} has no {{c}}, the place of the class name; add it")
    return templates
