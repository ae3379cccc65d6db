"""Classes of synthetic scenes: colour and kind of the one large shape.

The scenes are those of `overtop.datasets.scenes`, with the same shapes in the same cells, but exactly one shape of each
is large: the first large one of the scene, or its first shape if none is large. All others are small.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from overtop.config.classes import ShapesClasses
from overtop.datasets.labelled import LabelledImage, LabelledImages
from overtop.datasets.raw import FetchContext
from overtop.datasets.scenes import COLOURS, SHAPE_KINDS, SIZES, Scene, Shape, draw_scene, generate_scenes

CLASS_NAMES = [f"{colour} {kind}" for colour in COLOURS for kind in SHAPE_KINDS]
"""`red circle`, `red square`, and so on: 40 classes."""

TEMPLATES = [
    "a large {c}",
    "a large {c} and something else",
    "a picture with a large {c} in it",
    "there is a large {c}",
]
"""The sentences in which captions of level `partial` name one shape."""


@contextmanager
def open_images(key: str, files: ShapesClasses, split: str, context: FetchContext) -> Iterator[LabelledImages]:
    """The labelled images of a split; `key` is unused, because nothing can be missing.

    Args:
        key: the key of the files in config.yaml.
        files: their entry.
        split: name of the split.
        context: settings of the run, of which the seed is used.
    """

    def iterate() -> Iterator[LabelledImage]:
        for scene in generate_classified_scenes(split, files.images[split], context.seed):
            encode = partial(_encode, scene, files.image_size)
            yield LabelledImage(f"{scene.image_id}.png", (class_of(scene),), encode)

    yield LabelledImages(CLASS_NAMES, TEMPLATES, iterate, is_shuffled=True)


def generate_classified_scenes(split: str, n_images: int, seed: int) -> list[Scene]:
    """The scenes of a split with exactly one large shape each; the arguments are those of `generate_scenes`."""
    return [_with_one_large_shape(scene) for scene in generate_scenes(split, n_images, seed)]


def class_of(scene: Scene) -> int:
    """The number of the class of a scene with exactly one large shape."""
    [shape] = [shape for shape in scene.shapes if shape.size == "large"]
    return CLASS_NAMES.index(f"{shape.colour} {shape.kind}")


def _with_one_large_shape(scene: Scene) -> Scene:
    large = next((i for i, shape in enumerate(scene.shapes) if shape.size == "large"), 0)
    shapes = [_resize(shape, "large" if i == large else "small") for i, shape in enumerate(scene.shapes)]
    return replace(scene, shapes=tuple(shapes))


def _resize(shape: Shape, size: str) -> Shape:
    """The shape in another size; its shift is scaled to the margin that this size leaves in the cell."""
    scale = (0.5 - SIZES[size]) / (0.5 - SIZES[shape.size])
    return replace(shape, size=size, shift=(shape.shift[0] * scale, shape.shift[1] * scale))


def _encode(scene: Scene, image_size: int) -> bytes:
    content = io.BytesIO()
    draw_scene(scene, image_size).save(content, format="PNG")
    return content.getvalue()
