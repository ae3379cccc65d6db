"""Captions of synthetic scenes, from precise to vague, and which scenes each caption describes.

Every caption is a `Query` in words. Which scenes it describes is decided by evaluating the query, not by the words, so
that the positives are correct by construction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from overtop.datasets.scenes import Scene, Shape, generate_scenes, item_generator

LEVELS = ("exact", "detailed", "partial", "loose", "vague")
"""Levels of precision, in the order in which the number of positives grows."""

_RELATION_PHRASES = {
    "left": ("left of",),
    "right": ("right of",),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
_NUMBER_WORDS = {2: "two", 3: "three", 4: "four"}


@dataclass(frozen=True)
class Term:
    """The description of one shape; None leaves a property open."""

    colour: str | None = None
    size: str | None = None
    kind: str | None = None

    def matches(self, shape: Shape) -> bool:
        """Whether `shape` has all described properties."""
        return all(
            described is None or described == actual
            for described, actual in ((self.colour, shape.colour), (self.size, shape.size), (self.kind, shape.kind))
        )


@dataclass(frozen=True)
class Query:
    """The meaning of a caption: conditions on a scene.

    Attributes:
        terms: descriptions of shapes; each must be matched by a different shape of the scene.
        relations: pairs (relation, j): the shape of the first term is left of, right of, above or below that of term
            j.
        count: number of shapes in the scene; None for any.
    """

    terms: tuple[Term, ...] = ()
    relations: tuple[tuple[str, int], ...] = ()
    count: int | None = None

    def matches(self, scene: Scene) -> bool:
        """Whether some assignment of different shapes of `scene` to the terms satisfies all conditions."""
        if self.count is not None and self.count != len(scene.shapes):
            return False
        return any(
            all(term.matches(shape) for term, shape in zip(self.terms, assigned, strict=True))
            and all(_relation_holds(assigned[0], relation, assigned[j]) for relation, j in self.relations)
            for assigned in permutations(scene.shapes, len(self.terms))
        )


@dataclass(frozen=True)
class Caption:
    """One sentence about an image.

    Attributes:
        text: the sentence.
        level: how precise it is, one of `LEVELS`.
        query: its meaning.
    """

    text: str
    level: str
    query: Query


def _relation_holds(first: Shape, relation: str, second: Shape) -> bool:
    return {
        "left": first.column < second.column,
        "right": first.column > second.column,
        "above": first.row < second.row,
        "below": first.row > second.row,
    }[relation]


def generate_captions(split: str, n_images: int, seed: int) -> list[tuple[Caption, ...]]:
    """The five captions of every scene of a split, one per level.

    Args:
        split: as for `generate_scenes`.
        n_images: as for `generate_scenes`.
        seed: as for `generate_scenes`.
    """
    scenes = generate_scenes(split, n_images, seed)
    return [describe_scene(scene, item_generator(seed, split, "captions", i)) for i, scene in enumerate(scenes)]


def find_matching_scenes(queries: Sequence[Query], scenes: Sequence[Scene]) -> list[np.ndarray]:
    """For every query the sorted indices of the scenes that match it.

    The full query is evaluated only on scenes that contain a matching shape for every term.
    """
    scenes_with_term: dict[Term, np.ndarray] = {}
    counts = np.array([len(scene.shapes) for scene in scenes])
    matches = []
    for query in queries:
        candidates = np.ones(len(scenes), dtype=bool) if query.count is None else counts == query.count
        for term in query.terms:
            if term not in scenes_with_term:
                scenes_with_term[term] = np.array([any(map(term.matches, scene.shapes)) for scene in scenes])
            candidates = candidates & scenes_with_term[term]
        indices = np.flatnonzero(candidates)
        if len(query.terms) > 1:
            indices = np.array([i for i in indices.tolist() if query.matches(scenes[i])], dtype=np.int64)
        matches.append(indices)
    return matches


def describe_scene(scene: Scene, rng: np.random.Generator) -> tuple[Caption, ...]:
    """Five captions of a scene, one per level, from precise to vague."""
    shapes = [scene.shapes[i] for i in rng.permutation(len(scene.shapes))]
    return (
        _exact_caption(shapes, rng),
        _detailed_caption(shapes, rng),
        _partial_caption(shapes, rng),
        _loose_caption(shapes, rng),
        _vague_caption(rng),
    )


def _exact_caption(shapes: Sequence[Shape], rng: np.random.Generator) -> Caption:
    """All shapes with all properties, and the position of the first relative to each of the others."""
    first, others = shapes[0], shapes[1:]
    relations = []
    for j, other in enumerate(others, start=1):
        true_relations = [relation for relation in _RELATION_PHRASES if _relation_holds(first, relation, other)]
        relations.append((_pick(rng, true_relations), j))
    names = [_with_article(f"{shape.size} {shape.colour} {shape.kind}") for shape in shapes]
    positions = [f"{_pick(rng, _RELATION_PHRASES[relation])} {names[j]}" for relation, j in relations]
    query = Query(tuple(Term(shape.colour, shape.size, shape.kind) for shape in shapes), tuple(relations))
    return Caption(_embed_in_sentence(f"{names[0]} {_enumerate_words(positions)}", rng), "exact", query)


def _detailed_caption(shapes: Sequence[Shape], rng: np.random.Generator) -> Caption:
    """All shapes with colour and kind, without sizes and positions."""
    words = _enumerate_words([_with_article(f"{shape.colour} {shape.kind}") for shape in shapes])
    query = Query(tuple(Term(shape.colour, None, shape.kind) for shape in shapes))
    return Caption(_embed_in_sentence(words, rng), "detailed", query)


def _partial_caption(shapes: Sequence[Shape], rng: np.random.Generator) -> Caption:
    """One shape with all properties."""
    shape = shapes[0]
    words = _with_article(f"{shape.size} {shape.colour} {shape.kind}")
    text = _pick(rng, ("{}", "{} and something else", "a picture with {} in it", "there is {}")).format(words)
    return Caption(text, "partial", Query((Term(shape.colour, shape.size, shape.kind),)))


def _loose_caption(shapes: Sequence[Shape], rng: np.random.Generator) -> Caption:
    """A single property: a colour, a kind, or the number of shapes."""
    shape = shapes[0]
    topic = _pick(rng, ("colour", "kind", "count"))
    if topic == "colour":
        phrases = ("something {}", "{} among other colours", "a {} shape")
        text = _pick(rng, phrases).format(shape.colour).replace("a orange", "an orange")
        return Caption(text, "loose", Query((Term(colour=shape.colour),)))
    if topic == "kind":
        phrases = ("{}", "{} among others", "a picture with {}")
        text = _pick(rng, phrases).format(_with_article(shape.kind))
        return Caption(text, "loose", Query((Term(kind=shape.kind),)))
    phrases = ("exactly {} shapes", "{} shapes in all", "a picture of {} shapes")
    return Caption(_pick(rng, phrases).format(_NUMBER_WORDS[len(shapes)]), "loose", Query(count=len(shapes)))


def _vague_caption(rng: np.random.Generator) -> Caption:
    """A sentence that is true of every scene."""
    amount = _pick(rng, ("some", "several", "a few", "various"))
    noun = _pick(rng, ("shapes", "figures", "coloured shapes"))
    place = _pick(rng, ("", " on a plain background", " in a simple drawing"))
    return Caption(f"{amount} {noun}{place}", "vague", Query())


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _enumerate_words(parts: Sequence[str]) -> str:
    """`a`, `a and b` or `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _embed_in_sentence(words: str, rng: np.random.Generator) -> str:
    return _pick(rng, ("{}", "{}", "a picture of {}", "a drawing with {}", "here is {}")).format(words)
