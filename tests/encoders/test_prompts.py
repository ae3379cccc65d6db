import numpy as np
import pytest

from overtop.encoders.prompts import average_prompts, list_texts
from overtop.storage.split import Split


def test_texts_are_captions_or_the_prompts_of_each_class_in_a_row() -> None:
    captions = Split(["a"], [""], ["1", "2"], ["u {c}", "v"], np.array([0, 0]))
    assert list_texts(captions) == ["u {c}", "v"]
    classes = Split(
        ["a"], [""], ["0", "1"], ["cat", "dog"], np.full(2, -1), labels=[np.array([0]), np.array([], dtype=np.int64)],
        templates=["a {c}.", "{c} and {c}"],
    )  # fmt: skip
    assert list_texts(classes) == ["a cat.", "cat and cat", "a dog.", "dog and dog"]


@pytest.mark.parametrize("templates", [1, 3])
def test_average_of_prompts_equals_plain_loops(templates: int) -> None:
    embedding = np.random.default_rng(0).normal(size=(2, 4 * templates, 5)).astype(np.float32)
    average = average_prompts(embedding, templates)
    assert average.dtype == np.float32
    for sample in range(2):
        for number in range(4):
            total = np.zeros(5)
            for row in embedding[sample, number * templates : (number + 1) * templates].astype(float):
                total += row / np.sqrt(sum(x * x for x in row))
            np.testing.assert_allclose(average[sample, number], total / np.sqrt(total @ total), rtol=1e-5)
