"""The synthetic data set is reproducible, and its positives are correct."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from overtop.config.datasets import ShapesDataset
from overtop.datasets import shapes
from overtop.datasets.raw import FetchContext
from overtop.datasets.scene_captions import LEVELS, Query, Term, find_matching_scenes, generate_captions
from overtop.datasets.scenes import COLOURS, SHAPE_KINDS, SIZES, Scene, Shape, generate_scenes
from overtop.errors import OvertopError
from overtop.storage.files import sha256


def _shape(colour: str = "red", size: str = "small", kind: str = "circle", column: int = 0, row: int = 0) -> Shape:
    return Shape(colour, size, kind, column, row, (0.0, 0.0))


def test_smaller_split_is_a_prefix_of_larger_split() -> None:
    assert generate_scenes("test", 12, 0)[:5] == generate_scenes("test", 5, 0)
    assert generate_captions("test", 12, 0)[:5] == generate_captions("test", 5, 0)


def test_splits_and_seeds_give_different_scenes() -> None:
    scenes = [
        scene for split, seed in (("test", 0), ("test", 1), ("val", 0)) for scene in generate_scenes(split, 30, seed)
    ]
    assert len({scene.shapes for scene in scenes}) == len(scenes)


def test_scenes_use_all_properties_in_different_cells() -> None:
    scenes = generate_scenes("train", 300, 0)
    all_shapes = [shape for scene in scenes for shape in scene.shapes]
    assert {shape.colour for shape in all_shapes} == set(COLOURS)
    assert {shape.kind for shape in all_shapes} == set(SHAPE_KINDS)
    assert {shape.size for shape in all_shapes} == set(SIZES)
    assert {len(scene.shapes) for scene in scenes} == {2, 3, 4}
    for scene in scenes:
        assert len({(shape.column, shape.row) for shape in scene.shapes}) == len(scene.shapes)
        assert len({(shape.colour, shape.kind) for shape in scene.shapes}) == len(scene.shapes)


def test_images_are_reproducible_and_show_their_scene(tmp_path: Path) -> None:
    first = shapes.write_images(tmp_path / "a", "test", 20, 48, 3)
    second = shapes.write_images(tmp_path / "b", "test", 20, 48, 3)
    assert [sha256(path) for path in first] == [sha256(path) for path in second]
    assert len({sha256(path) for path in first}) == 20
    for path, scene in zip(first, generate_scenes("test", 20, 3), strict=True):
        pixels = np.asarray(Image.open(path))
        assert pixels.shape == (48, 48, 3)
        for shape in scene.shapes:
            x, y = (
                (cell + 0.5 + shift) * 16 for cell, shift in zip((shape.column, shape.row), shape.shift, strict=True)
            )
            np.testing.assert_allclose(pixels[int(y), int(x)], COLOURS[shape.colour], atol=40)


def test_relations_hold_in_the_image() -> None:
    axes = {"left": (0, 1), "right": (0, -1), "above": (1, 1), "below": (1, -1)}
    gaps: dict[str, list[float]] = {relation: [] for relation in axes}
    for scene in generate_scenes("test", 100, 0):
        for one, other in itertools.permutations(scene.shapes, 2):
            for relation, (axis, sign) in axes.items():
                if Query((_exact_term(one), _exact_term(other)), ((relation, 1),)).matches(Scene("x", (one, other))):
                    gaps[relation].append((_centre(other)[axis] - _centre(one)[axis]) * sign)
    for gap_cells in gaps.values():
        assert min(gap_cells) > 0.3  # large enough to be visible


def _exact_term(shape: Shape) -> Term:
    return Term(shape.colour, shape.size, shape.kind)


def _centre(shape: Shape) -> tuple[float, float]:
    return shape.column + shape.shift[0], shape.row + shape.shift[1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), True),
        (Query((Term("red"),)), True),
        (Query((Term("green"),)), False),
        (Query((Term("red"), Term("red"))), False),  # two terms need two shapes
        (Query((Term(kind="square"), Term(kind="square"))), True),
        (Query((Term("red"), Term("blue", "large")), (("left", 1),)), True),
        (Query((Term("red"), Term("blue", "large")), (("right", 1),)), False),
        (Query((Term("red"), Term(kind="square")), (("above", 1),)), True),  # the second square matches
        (Query((Term("red"), Term("blue")), (("above", 1),)), False),
        (Query(count=3), True),
        (Query(count=2), False),
    ],
)
def test_query_matches_scene_or_not(query: Query, expected: bool) -> None:
    scene = Scene(
        "x",
        (
            _shape("red"),
            _shape("blue", "large", "square", column=1),
            _shape("black", "small", "square", column=2, row=2),
        ),
    )
    assert query.matches(scene) is expected


def test_matching_scenes_equal_evaluation_of_every_scene() -> None:
    scenes = generate_scenes("test", 60, 1)
    scenes.append(Scene("twin", scenes[0].shapes))  # equal scenes are both matches
    queries = [caption.query for captions in generate_captions("test", 60, 1) for caption in captions]
    queries += [Query((Term("red"), Term("red"))), Query((Term("red", "huge"),))]  # rare; and impossible
    matches = find_matching_scenes(queries, scenes)
    for query, indices in zip(queries, matches, strict=True):
        assert indices.tolist() == [i for i, scene in enumerate(scenes) if query.matches(scene)]
    assert all({0, 60} <= set(indices.tolist()) for indices in matches[:5])
    assert matches[-1].size == 0


def test_number_of_positives_grows_with_level() -> None:
    scenes = generate_scenes("test", 200, 0)
    n_positives = {level: [] for level in LEVELS}
    for i, captions in enumerate(generate_captions("test", 200, 0)):
        assert tuple(caption.level for caption in captions) == LEVELS
        matches = find_matching_scenes([caption.query for caption in captions], scenes)
        for caption, positives in zip(captions, matches, strict=True):
            assert i in positives
            n_positives[caption.level].append(len(positives))
    means = [np.mean(n_positives[level]) for level in LEVELS]
    assert means == sorted(means)
    assert np.mean(np.array(n_positives["exact"]) == 1) > 0.9
    assert set(n_positives["vague"]) == {200}


def test_words_of_caption_are_those_of_its_query() -> None:
    for captions in generate_captions("val", 50, 0):
        for caption in captions:
            words = caption.text.replace(",", "").split()
            for values in (COLOURS, SHAPE_KINDS, SIZES):
                expected = [
                    p for term in caption.query.terms for p in (term.colour, term.size, term.kind) if p in values
                ]
                assert sorted(word for word in words if word in values) == sorted(expected)
            assert not {"a orange", "an red"} & {" ".join(pair) for pair in itertools.pairwise(words)}
    assert (
        len({captions[0].text.split()[0] for captions in generate_captions("val", 50, 0)}) > 1
    )  # several sentence patterns


def test_fetched_split_is_read_with_images_and_positives(tmp_path: Path) -> None:
    spec = ShapesDataset(kind="shapes", images={"train": 6, "test": 4}, image_size=24)
    context = FetchContext(None, 5, tmp_path, {})
    shapes.fetch("tiny", spec, "test", tmp_path / "test", context)
    shapes.fetch("tiny", spec, "train", tmp_path / "train", context)
    test = shapes.read("tiny", spec, tmp_path / "test", "test")
    assert len(test.image_ids) == 4
    assert len(test.captions) == 20
    assert test.captions[0] == generate_captions("test", 4, 5)[0][0].text
    assert test.levels == list(LEVELS) * 4
    assert test.extended is not None
    assert all(own in positives for own, positives in zip(test.image_of_caption, test.extended, strict=True))
    for path in test.image_paths:
        assert Image.open(tmp_path / "test" / path).size == (24, 24)
    assert shapes.read("tiny", spec, tmp_path / "train", "train").extended is None


def test_fetch_of_smaller_split_removes_other_images(tmp_path: Path) -> None:
    for n in (4, 2):
        spec = ShapesDataset(kind="shapes", images={"test": n}, image_size=16)
        shapes.fetch("tiny", spec, "test", tmp_path, FetchContext(None, 5, tmp_path, {}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shapes.json", "test-00000.png", "test-00001.png"]


def test_unknown_split_is_reported_with_available_splits(tmp_path: Path) -> None:
    spec = ShapesDataset(kind="shapes", images={"train": 6, "test": 4})
    with pytest.raises(OvertopError, match=r"datasets\.tiny\.images has no split 'dev'; its splits: test, train"):
        shapes.fetch("tiny", spec, "dev", tmp_path, FetchContext(None, 5, tmp_path, {}))
