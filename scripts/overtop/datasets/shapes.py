"""A drawn world whose ambiguity is known: coloured shapes, and captions from precise to vague.

Every image is a `Scene`, every caption a `Query` put into words. Which images a caption truly describes is decided
by the query on the scenes, never on the words, so the positives are right by construction.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import permutations
from math import cos, pi, sin
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from overtop.config.datasets import ShapesDataset
from overtop.datasets.raw import Context, keep_only, no_split
from overtop.seeds import derive_seed
from overtop.storage.files import write_json
from overtop.storage.split import Split

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
KINDS = ("circle", "square", "triangle", "diamond", "star")
SIZES = {"small": 0.30, "large": 0.46}  # radius in cells of the grid
LEVELS = ("exact", "detailed", "partial", "loose", "vague")
"""From precise to vague: the order in which a caption's set of positives grows."""

_BACKGROUND = (245, 245, 240)
_GRID = 3  # shapes stand in different cells, so that every relation is plain to see
_N_SHAPES = (2, 3, 3, 4)
_SUPERSAMPLE = 4
_RELATIONS = {"left": ("left of",), "right": ("right of",), "above": ("above", "over"), "below": ("below", "under")}
_RECIPE = "shapes.json"
_NUMBERS = {2: "two", 3: "three", 4: "four"}


@dataclass(frozen=True)
class Shape:
    """One drawn shape; `column` and `row` are cells of the grid, `shift` its offset in cells."""

    colour: str
    size: str
    kind: str
    column: int
    row: int
    shift: tuple[float, float]


@dataclass(frozen=True)
class Scene:
    """What one image shows."""

    image_id: str
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class Term:
    """A shape as far as a caption describes it; None leaves the property open."""

    colour: str | None = None
    size: str | None = None
    kind: str | None = None

    def matches(self, shape: Shape) -> bool:
        """Whether `shape` has every property that is named."""
        return all(
            wanted is None or wanted == found
            for wanted, found in ((self.colour, shape.colour), (self.size, shape.size), (self.kind, shape.kind))
        )


@dataclass(frozen=True)
class Query:
    """The meaning of a caption: a scene holds these shapes, so related, and (if `count` is given) no more.

    `relations` holds (relation, j): the first term's shape stands left of, right of, above or below term j's.
    """

    terms: tuple[Term, ...] = ()
    relations: tuple[tuple[str, int], ...] = ()
    count: int | None = None

    def matches(self, scene: Scene) -> bool:
        """Whether different shapes of `scene` can play all the terms."""
        if self.count is not None and self.count != len(scene.shapes):
            return False
        return any(
            all(term.matches(shape) for term, shape in zip(self.terms, cast, strict=True))
            and all(_stands(cast[0], relation, cast[j]) for relation, j in self.relations)
            for cast in permutations(scene.shapes, len(self.terms))
        )


@dataclass(frozen=True)
class Caption:
    """One sentence about an image, its meaning, and how precise it is (one of `LEVELS`)."""

    text: str
    level: str
    query: Query


def _stands(first: Shape, relation: str, second: Shape) -> bool:
    return {
        "left": first.column < second.column,
        "right": first.column > second.column,
        "above": first.row < second.row,
        "below": first.row > second.row,
    }[relation]


def _generator(seed: int, split: str, purpose: str, index: int) -> np.random.Generator:
    # One stream an image: the first n images are the same whatever the size of the split.
    return np.random.default_rng(derive_seed(seed, "shapes", split, purpose, index))


def generate(split: str, n_images: int, seed: int) -> list[Scene]:
    """Draw up the scenes of a split.

    Args:
        split: name of the split; splits are independent of each other.
        n_images: how many; a larger split starts with the scenes of a smaller one.
        seed: seed of the whole data set.
    """
    return [_scene(f"{split}-{i:05d}", _generator(seed, split, "scene", i)) for i in range(n_images)]


def _scene(image_id: str, rng: np.random.Generator) -> Scene:
    n = int(rng.choice(_N_SHAPES))
    cells = rng.choice(_GRID * _GRID, size=n, replace=False)
    looks = rng.choice(len(COLOURS) * len(KINDS), size=n, replace=False)  # no two shapes alike but for their size
    colours, sizes = list(COLOURS), list(SIZES)
    shapes = []
    for cell, look in zip(cells.tolist(), looks.tolist(), strict=True):
        size = sizes[rng.integers(len(sizes))]
        slack = 0.5 - SIZES[size]
        shift = rng.uniform(-slack, slack, size=2)
        shapes.append(
            Shape(
                colours[look // len(KINDS)],
                size,
                KINDS[look % len(KINDS)],
                cell % _GRID,
                cell // _GRID,
                (float(shift[0]), float(shift[1])),
            )  # fmt: skip
        )
    return Scene(image_id, tuple(shapes))


def draw(scene: Scene, image_size: int) -> Image.Image:
    """Draw a scene.

    Args:
        scene: what to draw.
        image_size: width and height in pixels.
    """
    cell = image_size * _SUPERSAMPLE / _GRID
    canvas = Image.new("RGB", (image_size * _SUPERSAMPLE,) * 2, _BACKGROUND)
    pen = ImageDraw.Draw(canvas)
    for shape in scene.shapes:
        x = (shape.column + 0.5 + shape.shift[0]) * cell
        y = (shape.row + 0.5 + shape.shift[1]) * cell
        _draw_shape(pen, shape.kind, x, y, SIZES[shape.size] * cell, COLOURS[shape.colour])
    return canvas.resize((image_size, image_size), Image.Resampling.BOX)


def _draw_shape(
    pen: ImageDraw.ImageDraw, kind: str, x: float, y: float, radius: float, colour: tuple[int, int, int]
) -> None:
    if kind == "circle":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        return
    half = radius * 0.85  # a square of the circle's radius would look larger than it
    corners = {
        "square": [(-half, -half), (half, -half), (half, half), (-half, half)],
        "triangle": [(0, -radius), (radius, radius * 0.8), (-radius, radius * 0.8)],
        "diamond": [(0, -radius), (radius * 0.8, 0), (0, radius), (-radius * 0.8, 0)],
        "star": [
            (sin(k * pi / 5) * r, -cos(k * pi / 5) * r) for k, r in enumerate([radius, radius * 0.42] * 5)
        ],
    }[kind]  # fmt: skip
    pen.polygon([(x + dx, y + dy) for dx, dy in corners], fill=colour)


def write_images(folder: str | Path, split: str, n_images: int, image_size: int, seed: int) -> list[Path]:
    """Draw a split into `folder`, one PNG an image, the same bytes for the same arguments.

    Args:
        folder: where the files go; made if absent.
        split, n_images, seed: as for `generate`.
        image_size: width and height in pixels.

    Returns:
        The files, in the order of the split.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)

    def write(scene: Scene) -> Path:
        path = target / file_name(scene)
        draw(scene, image_size).save(path, format="PNG")
        return path

    with ThreadPoolExecutor() as pool:
        return list(pool.map(write, generate(split, n_images, seed)))


def file_name(scene: Scene) -> str:
    """The name of a scene's image file."""
    return f"{scene.image_id}.png"


def captions(split: str, n_images: int, seed: int) -> list[tuple[Caption, ...]]:
    """Describe every image of a split five times, from precise to vague.

    Args:
        split, n_images, seed: as for `generate`.
    """
    scenes = generate(split, n_images, seed)
    return [describe(scene, _generator(seed, split, "captions", i)) for i, scene in enumerate(scenes)]


def fetch(name: str, spec: ShapesDataset, split: str, raw: Path, context: Context) -> None:
    """Draw a split's images into `raw`, and note what they were drawn from."""
    if split not in spec.images:
        raise no_split(split, f"datasets.{name}.images", spec.images)
    n_images = spec.images[split]
    files = write_images(raw, split, n_images, spec.image_size, context.seed)
    keep_only(raw, [file.name for file in files])
    recipe = {"split": split, "images": n_images, "image_size": spec.image_size, "seed": context.seed}
    write_json(raw / _RECIPE, recipe)


def read(name: str, spec: ShapesDataset, raw: Path, split: str) -> Split:
    """The images of `split`, their captions and every caption's positives.

    The train split comes without its positives: it is never a gallery, and its vague captions alone would list
    every image once for every image.
    """
    seed = json.loads((raw / _RECIPE).read_text())["seed"]
    n_images = spec.images.get(split, 0)
    scenes = generate(split, n_images, seed)
    described = captions(split, n_images, seed)
    flat = [caption for five in described for caption in five]
    return Split(
        image_ids=[scene.image_id for scene in scenes],
        image_paths=[file_name(scene) for scene in scenes],
        caption_ids=[f"{scene.image_id}-{k}" for scene in scenes for k in range(len(LEVELS))],
        captions=[caption.text for caption in flat],
        image_of_caption=np.repeat(np.arange(n_images, dtype=np.int64), len(LEVELS)),
        extended=None if split == "train" else find_positives([caption.query for caption in flat], scenes),
        levels=[caption.level for caption in flat],
    )


def find_positives(queries: Sequence[Query], scenes: Sequence[Scene]) -> list[np.ndarray]:
    """For every query the indices of the scenes that match it.

    Only scenes that hold a shape for every term are asked whether the whole query matches.
    """
    holders: dict[Term, np.ndarray] = {}
    counts = np.array([len(scene.shapes) for scene in scenes])
    found = []
    for query in queries:
        candidates = np.ones(len(scenes), dtype=bool) if query.count is None else counts == query.count
        for term in query.terms:
            if term not in holders:
                holders[term] = np.array([any(map(term.matches, scene.shapes)) for scene in scenes])
            candidates = candidates & holders[term]
        indices = np.flatnonzero(candidates)
        if len(query.terms) > 1:
            indices = np.array([i for i in indices.tolist() if query.matches(scenes[i])], dtype=np.int64)
        found.append(indices)
    return found


def describe(scene: Scene, rng: np.random.Generator) -> tuple[Caption, ...]:
    """Five captions of a scene, one a level, from precise to vague."""
    order = [scene.shapes[i] for i in rng.permutation(len(scene.shapes))]
    return (_exact(order, rng), _detailed(order, rng), _partial(order, rng), _loose(order, rng), _vague(rng))


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _framed(words: str, rng: np.random.Generator) -> str:
    return _pick(rng, ("{}", "{}", "a picture of {}", "a drawing with {}", "here is {}")).format(words)


def _exact(order: Sequence[Shape], rng: np.random.Generator) -> Caption:
    """All shapes with all their properties, the first one's place told against each of the others."""
    first, others = order[0], order[1:]
    relations = []
    for j, other in enumerate(others, start=1):
        holding = [relation for relation in _RELATIONS if _stands(first, relation, other)]
        relations.append((_pick(rng, holding), j))
    named = [_article(f"{shape.size} {shape.colour} {shape.kind}") for shape in order]
    places = [f"{_pick(rng, _RELATIONS[relation])} {named[j]}" for relation, j in relations]
    query = Query(tuple(Term(shape.colour, shape.size, shape.kind) for shape in order), tuple(relations))
    return Caption(_framed(f"{named[0]} {_listed(places)}", rng), "exact", query)


def _detailed(order: Sequence[Shape], rng: np.random.Generator) -> Caption:
    """All shapes by colour and kind, neither sizes nor places."""
    words = _listed([_article(f"{shape.colour} {shape.kind}") for shape in order])
    return Caption(_framed(words, rng), "detailed", Query(tuple(Term(s.colour, None, s.kind) for s in order)))


def _partial(order: Sequence[Shape], rng: np.random.Generator) -> Caption:
    """One shape with all its properties, the others passed over."""
    shape = order[0]
    words = _article(f"{shape.size} {shape.colour} {shape.kind}")
    text = _pick(rng, ("{}", "{} and something else", "a picture with {} in it", "there is {}")).format(words)
    return Caption(text, "partial", Query((Term(shape.colour, shape.size, shape.kind),)))


def _loose(order: Sequence[Shape], rng: np.random.Generator) -> Caption:
    """A single property: a colour, a kind, or how many shapes there are."""
    shape = order[0]
    topic = _pick(rng, ("colour", "kind", "count"))
    if topic == "colour":
        words = ("something {}", "{} among other colours", "a {} shape")
        text = _pick(rng, words).format(shape.colour).replace("a orange", "an orange")
        return Caption(text, "loose", Query((Term(colour=shape.colour),)))
    if topic == "kind":
        words = ("{}", "{} among others", "a picture with {}")
        return Caption(_pick(rng, words).format(_article(shape.kind)), "loose", Query((Term(kind=shape.kind),)))
    words = ("exactly {} shapes", "{} shapes in all", "a picture of {} shapes")
    return Caption(_pick(rng, words).format(_NUMBERS[len(order)]), "loose", Query(count=len(order)))


def _vague(rng: np.random.Generator) -> Caption:
    """True of every image."""
    amount = _pick(rng, ("some", "several", "a few", "various"))
    what = _pick(rng, ("shapes", "figures", "coloured shapes"))
    place = _pick(rng, ("", " on a plain background", " in a simple drawing"))
    return Caption(f"{amount} {what}{place}", "vague", Query())
