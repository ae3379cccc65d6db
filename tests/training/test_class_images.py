import numpy as np
import pytest

from overtop.config.finetuning import FinetuneSpec
from overtop.errors import OvertopError
from overtop.storage.split import Split, split_from_labels
from overtop.training.class_images import class_of_images, epoch_batches, parts

SPEC = FinetuneSpec.model_validate(
    {"from": "a", "dataset": "x", "objective": {"kind": "tecoa"}, "batch_size": 4, "seed": 1}
)


def _split(classes: list[list[int]]) -> Split:
    ids = [f"image-{i}" for i in range(len(classes))]
    return split_from_labels(ids, ids, classes, ["a", "b", "c"], ["{c}"])


def test_class_of_each_image_is_that_of_the_split() -> None:
    assert class_of_images("x", _split([[2], [0], [2], [1]])).tolist() == [2, 0, 2, 1]


def test_image_with_several_classes_is_named() -> None:
    with pytest.raises(OvertopError, match="data set 'x': image 'image-1' has several classes"):
        class_of_images("x", _split([[2], [0, 1], [2]]))


def test_data_set_of_captions_is_rejected() -> None:
    captions = Split(["i"], ["i.png"], ["c"], ["a caption"], np.zeros(1, dtype=np.int64))
    with pytest.raises(OvertopError, match="data set 'x' has captions; fine-tuning needs a data set of classes"):
        class_of_images("x", captions)


def test_epoch_has_every_image_once_but_for_the_last_incomplete_batch() -> None:
    batches = epoch_batches(11, SPEC, 0, 0)
    assert [len(rows) for rows in batches] == [4, 4]
    assert len(set(np.concatenate(batches).tolist())) == 8


def test_order_of_an_epoch_depends_on_epoch_and_seeds() -> None:
    order = np.concatenate(epoch_batches(100, SPEC, 0, 0))
    np.testing.assert_array_equal(order, np.concatenate(epoch_batches(100, SPEC, 0, 0)))
    others = [
        epoch_batches(100, SPEC, 0, 1),
        epoch_batches(100, SPEC, 1, 0),
        epoch_batches(100, SPEC.model_copy(update={"seed": 2}), 0, 0),
    ]
    assert all((np.concatenate(other) != order).any() for other in others)


@pytest.mark.parametrize(("images", "count", "sizes"), [(8, 2, [4, 4]), (7, 2, [4, 3]), (2, 4, [1, 1]), (0, 2, [])])
def test_parts_of_a_batch_cover_it(images: int, count: int, sizes: list[int]) -> None:
    slices = list(parts(images, count))
    assert [len(range(images)[part]) for part in slices] == sizes
    assert [i for part in slices for i in range(images)[part]] == list(range(images))
