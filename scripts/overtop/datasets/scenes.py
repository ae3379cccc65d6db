"""Synthetic scenes: two to four coloured shapes in different cells of a 3 x 3 grid, generated from a seed."""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw

from overtop.seeds import derive_seed

COLOURS = {
    "red": (214, 39, 40),
    "green": (44, 160, 44),
    "blue": (31, 87, 200),
    "yellow": (240, 210, 30),
    "purple": (148, 60, 190),
    "orange": (255, 127, 14),
    "cyan": (50, 200, 215),
    "black": (30, 30, 30),
}
"""RGB values by name."""

SHAPE_KINDS = ("circle", "square", "triangle", "diamond", "star")

SIZES = {"small": 0.30, "large": 0.46}
"""Radius in grid cells by name."""

_BACKGROUND = (245, 245, 240)
_GRID_CELLS = 3  # per side; shapes are in different cells, so that spatial relations are unambiguous
_SHAPE_COUNTS = (2, 3, 3, 4)  # drawn uniformly, so 3 has probability 1/2
_SUPERSAMPLING = 4


@dataclass(frozen=True)
class Shape:
    """One shape of a scene.

    Attributes:
        colour: one of `COLOURS`.
        size: one of `SIZES`.
        kind: one of `SHAPE_KINDS`.
        column: grid column, from the left.
        row: grid row, from the top.
        shift: horizontal and vertical offset from the centre of its cell, in cells.
    """

    colour: str
    size: str
    kind: str
    column: int
    row: int
    shift: tuple[float, float]


@dataclass(frozen=True)
class Scene:
    """The content of one image."""

    image_id: str
    shapes: tuple[Shape, ...]


def item_generator(seed: int, split: str, purpose: str, index: int) -> np.random.Generator:
    """The random generator of one item; with one stream per item, a split is a prefix of any larger one.

    Args:
        seed: seed of the data set.
        split: name of the split.
        purpose: what is generated, `scene` or `captions`.
        index: number of the item within the split.
    """
    return np.random.default_rng(derive_seed(seed, "shapes", split, purpose, index))


def generate_scenes(split: str, n_images: int, seed: int) -> list[Scene]:
    """Generate the scenes of a split.

    Args:
        split: name of the split; different splits are independent.
        n_images: number of scenes; a larger split starts with the scenes of a smaller one.
        seed: seed of the data set.
    """
    return [_generate_scene(f"{split}-{i:05d}", item_generator(seed, split, "scene", i)) for i in range(n_images)]


def _generate_scene(image_id: str, rng: np.random.Generator) -> Scene:
    n_shapes = int(rng.choice(_SHAPE_COUNTS))
    cells = rng.choice(_GRID_CELLS * _GRID_CELLS, size=n_shapes, replace=False)
    # Without replacement: no two shapes of a scene have the same colour and kind.
    looks = rng.choice(len(COLOURS) * len(SHAPE_KINDS), size=n_shapes, replace=False)
    colours, sizes = list(COLOURS), list(SIZES)
    shapes = []
    for cell, look in zip(cells.tolist(), looks.tolist(), strict=True):
        size = sizes[rng.integers(len(sizes))]
        margin = 0.5 - SIZES[size]
        shift = rng.uniform(-margin, margin, size=2)
        shapes.append(
            Shape(
                colour=colours[look // len(SHAPE_KINDS)],
                size=size,
                kind=SHAPE_KINDS[look % len(SHAPE_KINDS)],
                column=cell % _GRID_CELLS,
                row=cell // _GRID_CELLS,
                shift=(float(shift[0]), float(shift[1])),
            )
        )
    return Scene(image_id, tuple(shapes))


def draw_scene(scene: Scene, image_size: int) -> Image.Image:
    """Draw a scene as an RGB image.

    Args:
        scene: the scene.
        image_size: width and height in pixels.
    """
    large_size = image_size * _SUPERSAMPLING
    cell_size = large_size / _GRID_CELLS
    image = Image.new("RGB", (large_size, large_size), _BACKGROUND)
    drawing = ImageDraw.Draw(image)
    for shape in scene.shapes:
        x = (shape.column + 0.5 + shape.shift[0]) * cell_size
        y = (shape.row + 0.5 + shape.shift[1]) * cell_size
        _draw_shape(drawing, shape.kind, x, y, SIZES[shape.size] * cell_size, COLOURS[shape.colour])
    return image.resize((image_size, image_size), Image.Resampling.BOX)


def _draw_shape(
    drawing: ImageDraw.ImageDraw, kind: str, x: float, y: float, radius: float, colour: tuple[int, int, int]
) -> None:
    if kind == "circle":
        drawing.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        return
    half = radius * 0.85  # a square with the circle's full radius would look larger than the circle
    corners = {
        "square": [(-half, -half), (half, -half), (half, half), (-half, half)],
        "triangle": [(0, -radius), (radius, radius * 0.8), (-radius, radius * 0.8)],
        "diamond": [(0, -radius), (radius * 0.8, 0), (0, radius), (-radius * 0.8, 0)],
        "star": [
            (sin(k * pi / 5) * r, -cos(k * pi / 5) * r) for k, r in enumerate([radius, radius * 0.42] * 5)
        ],
    }[kind]  # fmt: skip
    drawing.polygon([(x + dx, y + dy) for dx, dy in corners], fill=colour)
