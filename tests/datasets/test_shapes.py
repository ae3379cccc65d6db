"""The drawn world: reproducible, and right about which captions describe which images."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from overtop.config.datasets import ShapesDataset
from overtop.datasets import shapes
from overtop.datasets.raw import Context
from overtop.datasets.shapes import COLOURS, KINDS, LEVELS, SIZES, Query, Scene, Shape, Term
from overtop.errors import OvertopError
from overtop.storage.files import sha256


def _shape(colour: str = "red", size: str = "small", kind: str = "circle", column: int = 0, row: int = 0) -> Shape:
    return Shape(colour, size, kind, column, row, (0.0, 0.0))


def test_a_larger_split_starts_with_a_smaller_one() -> None:
    assert shapes.generate("test", 12, 0)[:5] == shapes.generate("test", 5, 0)
    assert shapes.captions("test", 12, 0)[:5] == shapes.captions("test", 5, 0)


def test_splits_and_seeds_are_independent() -> None:
    drawn = [scene.shapes for split, seed in (("test", 0), ("test", 1), ("val", 0)) for scene in _scenes(split, seed)]
    assert len(set(drawn)) == len(drawn)


def _scenes(split: str, seed: int) -> list[Scene]:
    return shapes.generate(split, 30, seed)


def test_scenes_use_the_whole_vocabulary_in_different_cells() -> None:
    scenes = shapes.generate("train", 300, 0)
    drawn = [shape for scene in scenes for shape in scene.shapes]
    assert {shape.colour for shape in drawn} == set(COLOURS)
    assert {shape.kind for shape in drawn} == set(KINDS)
    assert {shape.size for shape in drawn} == set(SIZES)
    assert {len(scene.shapes) for scene in scenes} == {2, 3, 4}
    for scene in scenes:
        assert len({(shape.column, shape.row) for shape in scene.shapes}) == len(scene.shapes)
        assert len({(shape.colour, shape.kind) for shape in scene.shapes}) == len(scene.shapes)


def test_images_are_the_same_bytes_and_show_what_the_scene_says(tmp_path: Path) -> None:
    first = shapes.write_images(tmp_path / "a", "test", 20, 48, 3)
    second = shapes.write_images(tmp_path / "b", "test", 20, 48, 3)
    assert [sha256(path) for path in first] == [sha256(path) for path in second]
    assert len({sha256(path) for path in first}) == 20
    for path, scene in zip(first, shapes.generate("test", 20, 3), strict=True):
        pixels = np.asarray(Image.open(path))
        assert pixels.shape == (48, 48, 3)
        for shape in scene.shapes:
            x, y = (
                (place + 0.5 + shift) * 16 for place, shift in zip((shape.column, shape.row), shape.shift, strict=True)
            )
            np.testing.assert_allclose(pixels[int(y), int(x)], COLOURS[shape.colour], atol=40)


def test_left_and_above_are_left_and_above_in_the_picture() -> None:
    for scene in shapes.generate("test", 100, 0):
        for one, other in itertools.permutations(scene.shapes, 2):
            for relation, axis, sign in (("left", 0, 1), ("right", 0, -1), ("above", 1, 1), ("below", 1, -1)):
                if Query((Term(*_look(one)), Term(*_look(other))), ((relation, 1),)).matches(Scene("x", (one, other))):
                    gap = (_centre(other)[axis] - _centre(one)[axis]) * sign
                    assert gap > 0.3  # of a cell: plain to see


def _look(shape: Shape) -> tuple[str, str, str]:
    return shape.colour, shape.size, shape.kind


def _centre(shape: Shape) -> tuple[float, float]:
    return shape.column + shape.shift[0], shape.row + shape.shift[1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), True),
        (Query((Term("red"),)), True),
        (Query((Term("green"),)), False),
        (Query((Term("red"), Term("red"))), False),  # one shape cannot play two terms
        (Query((Term(kind="square"), Term(kind="square"))), True),
        (Query((Term("red"), Term("blue", "large")), (("left", 1),)), True),
        (Query((Term("red"), Term("blue", "large")), (("right", 1),)), False),
        (Query((Term("red"), Term(kind="square")), (("above", 1),)), True),  # the other square will do
        (Query((Term("red"), Term("blue")), (("above", 1),)), False),
        (Query(count=3), True),
        (Query(count=2), False),
    ],
)
def test_what_a_query_matches(query: Query, expected: bool) -> None:
    scene = Scene(
        "x",
        (
            _shape("red"),
            _shape("blue", "large", "square", column=1),
            _shape("black", "small", "square", column=2, row=2),
        ),
    )
    assert query.matches(scene) is expected


def test_positives_are_all_scenes_the_query_matches() -> None:
    scenes = shapes.generate("test", 60, 1)
    scenes.append(Scene("twin", scenes[0].shapes))  # two images of one description are both positives
    queries = [caption.query for five in shapes.captions("test", 60, 1) for caption in five]
    queries += [Query((Term("red"), Term("red"))), Query((Term("red", "huge"),))]  # rare, and never
    found = shapes.find_positives(queries, scenes)
    for query, positives in zip(queries, found, strict=True):
        assert positives.tolist() == [i for i, scene in enumerate(scenes) if query.matches(scene)]
    assert all({0, 60} <= set(positives.tolist()) for positives in found[:5])
    assert found[-1].size == 0


def test_captions_go_from_precise_to_vague() -> None:
    scenes = shapes.generate("test", 200, 0)
    described = shapes.captions("test", 200, 0)
    sizes = {level: [] for level in LEVELS}
    for i, five in enumerate(described):
        assert tuple(caption.level for caption in five) == LEVELS
        for caption, positives in zip(five, shapes.find_positives([c.query for c in five], scenes), strict=True):
            assert i in positives  # a caption is true of its own image
            sizes[caption.level].append(len(positives))
    means = [np.mean(sizes[level]) for level in LEVELS]
    assert means == sorted(means)
    assert np.mean(np.array(sizes["exact"]) == 1) > 0.9
    assert set(sizes["vague"]) == {200}


def test_the_words_name_what_the_query_asks_for() -> None:
    for five in shapes.captions("val", 50, 0):
        for caption in five:
            words = caption.text.replace(",", "").split()
            for values in (COLOURS, KINDS, SIZES):
                asked = [p for term in caption.query.terms for p in (term.colour, term.size, term.kind) if p in values]
                assert sorted(word for word in words if word in values) == sorted(asked)
            assert not {"a orange", "an red"} & {" ".join(pair) for pair in itertools.pairwise(words)}
    assert len({five[0].text.split()[0] for five in shapes.captions("val", 50, 0)}) > 1  # not one sentence only


def test_fetch_then_read(tmp_path: Path) -> None:
    spec = ShapesDataset(kind="shapes", images={"train": 6, "test": 4}, image_size=24)
    context = Context(None, 5, tmp_path, {})
    shapes.fetch("tiny", spec, "test", tmp_path / "test", context)
    shapes.fetch("tiny", spec, "train", tmp_path / "train", context)
    test = shapes.read("tiny", spec, tmp_path / "test", "test")
    assert len(test.image_ids) == 4
    assert len(test.captions) == 20
    assert test.captions[0] == shapes.captions("test", 4, 5)[0][0].text
    assert test.levels == list(LEVELS) * 4
    assert test.extended is not None
    assert all(own in known for own, known in zip(test.image_of_caption, test.extended, strict=True))
    for path in test.image_paths:
        assert Image.open(tmp_path / "test" / path).size == (24, 24)
    assert shapes.read("tiny", spec, tmp_path / "train", "train").extended is None


def test_a_smaller_split_leaves_no_images_of_the_larger(tmp_path: Path) -> None:
    for n in (4, 2):
        spec = ShapesDataset(kind="shapes", images={"test": n}, image_size=16)
        shapes.fetch("tiny", spec, "test", tmp_path, Context(None, 5, tmp_path, {}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shapes.json", "test-00000.png", "test-00001.png"]


def test_a_split_that_is_not_drawn_is_told_with_those_that_are(tmp_path: Path) -> None:
    spec = ShapesDataset(kind="shapes", images={"train": 6, "test": 4})
    with pytest.raises(OvertopError, match=r"datasets\.tiny\.images has no split 'dev'; its splits: test, train"):
        shapes.fetch("tiny", spec, "dev", tmp_path, Context(None, 5, tmp_path, {}))
