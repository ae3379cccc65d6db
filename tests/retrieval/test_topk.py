import numpy as np
import pytest

from helpers import oracles
from helpers.blocks import iterate_blocks
from overtop.retrieval.topk import TopK

both_layouts = pytest.mark.parametrize("transposed", [False, True])


def accumulate(matrix, k, size, transposed=False):
    """Return a `TopK` to which a matrix was passed in blocks of `size` columns."""
    topk = TopK(len(matrix), k, "cpu")
    for block, _, rows, first_column in iterate_blocks(matrix, size, transposed):
        topk.update(block, rows, first_column)
    return topk


def assert_equals_sorted_rows(matrix, k, size, transposed=False):
    scores, columns = accumulate(matrix, k, size, transposed).results()
    expected = np.array([oracles.descending_order(row)[:k] for row in matrix])
    np.testing.assert_array_equal(columns, expected)
    np.testing.assert_array_equal(scores, np.take_along_axis(matrix, expected, axis=1))
    assert (scores.dtype, columns.dtype) == (np.float32, np.int32)


def random_integers(rows, columns, largest):
    return np.random.default_rng(0).integers(-largest, largest + 1, size=(rows, columns)).astype(np.float32)


@both_layouts
@pytest.mark.parametrize("size", [7, 64, 200])
@pytest.mark.parametrize("k", [1, 5, 50])
def test_equal_entries_are_ordered_by_column(k, size, transposed):
    assert_equals_sorted_rows(random_integers(23, 150, largest=3), k, size, transposed)


@both_layouts
@pytest.mark.parametrize("k", [1, 5, 100, 1000])
def test_real_valued_rows_are_sorted(k, transposed):
    matrix = np.random.default_rng(k).normal(size=(9, 1000)).astype(np.float32)
    assert_equals_sorted_rows(matrix, k, 512, transposed)


@pytest.mark.parametrize("sign", [1, -1])
def test_ascending_and_descending_rows_are_sorted(sign):
    assert_equals_sorted_rows(sign * np.tile(np.arange(300, dtype=np.float32), (4, 1)), 5, 64)


@pytest.mark.parametrize("value", [0.25, 0.0, -0.25])
def test_constant_rows_are_ordered_by_column(value):
    assert_equals_sorted_rows(np.full((6, 90), value, dtype=np.float32), 5, 32)


def test_negative_zero_equals_zero():
    assert_equals_sorted_rows(np.array([[-1.0, -0.0, 0.0, -0.0, 1e-40, -1e-40]], dtype=np.float32), 6, 3)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_small_matrices_are_sorted(rows, columns):
    assert_equals_sorted_rows(random_integers(rows, columns, largest=1), 1, 2)
    assert_equals_sorted_rows(random_integers(rows, columns, largest=1), columns, 2, transposed=True)


def test_best_entries_are_the_first_maxima():
    matrix = random_integers(8, 70, largest=4)
    score, column = accumulate(matrix, 3, 16).best_entries(slice(2, 6))
    np.testing.assert_array_equal(column, matrix[2:6].argmax(axis=1))
    np.testing.assert_array_equal(score, matrix[2:6].max(axis=1))


@pytest.mark.parametrize("k", [1, 4, 10])
def test_rows_with_and_without_new_large_entries_are_sorted(k):
    """Of later blocks some rows have no entry among the largest, some one, and some several."""
    matrix = np.random.default_rng(k).normal(size=(40, 900)).astype(np.float32)
    matrix[::3, 200:] -= 9
    matrix[1::3, 700:] += 3
    matrix[2::3, 450] = 9
    assert_equals_sorted_rows(matrix, k, 50)
