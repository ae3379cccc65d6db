import numpy as np
import pytest

from overtop.figures.perturbed import MAX_LABEL, Answers, perturbed_figure
from overtop.figures.style import GREEN, RED


def draw(count: int = 2):
    clean = np.full((count, 3, 4, 5), 0.5, dtype=np.float32)
    attacked = clean.copy()
    attacked[:, :, 0, 0] += 2 / 255
    attacked[:, :, 1, 1] -= 1 / 255
    before = Answers(["a dog"] * count, np.array([True] * count), np.array([0.5] * count))
    after = Answers(
        ["a very long name of a class indeed"] * count, np.array([False] * count), np.array([0.125] * count)
    )
    return perturbed_figure(clean, attacked, before, after, 2.0, "title")


@pytest.mark.parametrize("count", [1, 3])
def test_figure_has_clean_attacked_and_difference_of_each_image(count):
    axes = np.array(draw(count).axes).reshape(3, count)
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["clean", "attacked", "difference"]
    difference = axes[2, 0].images[0].get_array()
    assert difference.shape == (4, 5, 3)
    np.testing.assert_allclose(
        [difference[0, 0, 0], difference[1, 1, 0], difference[2, 2, 0]], [1, 0.25, 0.5], atol=1e-4
    )


def test_answers_are_written_above_the_images_in_the_colour_of_right_or_wrong():
    clean, _, attacked, _, _, _ = draw().axes
    assert clean.get_title() == "a dog\nH 0.50"
    assert clean.title.get_color() == GREEN
    first, entropy = attacked.get_title().split("\n")
    assert first == "a very long name of a…"
    assert len(first) == MAX_LABEL
    assert entropy == "H 0.12"
    assert attacked.title.get_color() == RED
