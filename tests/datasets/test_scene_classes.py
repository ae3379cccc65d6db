"""Scenes whose one large shape is their class."""

from collections import Counter

import numpy as np
from PIL import Image

from overtop.datasets.scene_captions import generate_captions
from overtop.datasets.scene_classes import CLASS_NAMES, TEMPLATES, class_of, generate_classified_scenes
from overtop.datasets.scenes import COLOURS, SHAPE_KINDS, SIZES, Scene, draw_scene, generate_scenes

FILES = {"layout": "shapes", "images": {"train": 20, "test": 30}, "image_size": 48}


def test_scenes_are_those_of_shapes_with_exactly_one_large_shape():
    for scene, original in zip(
        generate_classified_scenes("test", 200, 0), generate_scenes("test", 200, 0), strict=True
    ):
        assert scene.image_id == original.image_id
        assert [shape.size for shape in scene.shapes].count("large") == 1
        for shape, before in zip(scene.shapes, original.shapes, strict=True):
            assert (shape.colour, shape.kind, shape.column, shape.row) == (
                before.colour,
                before.kind,
                before.column,
                before.row,
            )
            assert max(map(abs, shape.shift)) <= 0.5 - SIZES[shape.size] + 1e-12
            assert shape.size != before.size or shape == before


def test_large_shape_is_the_first_large_one_of_the_scene_or_its_first_shape():
    for scene, original in zip(generate_classified_scenes("val", 200, 0), generate_scenes("val", 200, 0), strict=True):
        sizes = [shape.size for shape in original.shapes]
        expected = sizes.index("large") if "large" in sizes else 0
        assert scene.shapes[expected].size == "large"


def test_class_is_the_colour_and_kind_of_the_large_shape():
    assert len(set(CLASS_NAMES)) == len(COLOURS) * len(SHAPE_KINDS) == 40
    for scene in generate_classified_scenes("test", 100, 0):
        [large] = [shape for shape in scene.shapes if shape.size == "large"]
        assert CLASS_NAMES[class_of(scene)] == f"{large.colour} {large.kind}"


def test_large_shape_covers_most_pixels_of_its_kind_of_shape():
    """Drawn alone and large it has about (0.46 / 0.30)^2 times the pixels that it has if small."""
    for scene in generate_classified_scenes("test", 20, 0):
        [large] = [shape for shape in scene.shapes if shape.size == "large"]
        colour = COLOURS[large.colour]
        alone = Scene("alone", (large,))
        pixels = np.asarray(draw_scene(alone, 192)).reshape(-1, 3)
        area = (pixels == colour).all(axis=1).sum()
        background = (np.asarray(Image.new("RGB", (1, 1), (245, 245, 240)))[0, 0] == pixels).all(axis=1).sum()
        assert area > 0.6 * (len(pixels) - background) > 300


def test_every_class_has_images():
    counts = Counter(map(class_of, generate_classified_scenes("train", 2000, 0)))
    assert set(counts) == set(range(40))
    assert min(counts.values()) > 20


def test_prompts_are_sentences_of_the_captions():
    """Every template with some class is the caption of level `partial` of some scene with a large shape."""
    prompts = {template.replace("{c}", name): template for template in TEMPLATES for name in CLASS_NAMES}
    captions = {caption.text for five in generate_captions("train", 600, 0) for caption in five}
    assert {prompts[text] for text in captions & set(prompts)} == set(TEMPLATES)


def test_data_set_of_shapes_has_classes_and_reproducible_images(source_files):
    split = source_files.fetch_classes(FILES)
    scenes = generate_classified_scenes("test", 30, 0)
    assert split.image_ids == [f"test-{k:05d}.png" for k in range(30)]
    assert split.captions == CLASS_NAMES
    assert split.templates == TEMPLATES
    numbers = {int(i): number for number, images in enumerate(split.labels) for i in images}
    assert [numbers[i] for i in range(30)] == list(map(class_of, scenes))
    image = Image.open(source_files.data / split.image_paths[7])
    np.testing.assert_array_equal(np.asarray(image), np.asarray(draw_scene(scenes[7], 48)))
