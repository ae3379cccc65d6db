import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from helpers import oracles
from overtop.retrieval.softmax_sums import SoftmaxSums
from overtop.retrieval.topk import Best, canvas


def stream(matrix, k, size, transposed=False, temperatures=()):
    """Hand the columns of a matrix to `Best` and `SoftmaxSums` in blocks of `size`, its rows in two halves."""
    rows, columns = matrix.shape
    best, sums = Best(rows, k, "cpu"), SoftmaxSums(rows, temperatures, "cpu")
    for first in range(0, columns, size):
        for part in (slice(0, rows // 2), slice(rows // 2, rows)):
            piece = torch.from_numpy(matrix[part, first : first + size])
            if not len(piece):
                continue
            block = canvas(*(piece.T if transposed else piece).shape, "cpu")
            block = block.T if transposed else block
            block[: piece.shape[0], : piece.shape[1]] = piece
            best.update(block, part, first)
            sums.update(block[: piece.shape[0], : piece.shape[1]], part, first, best)
    return best, sums


def check_best(matrix, k, size, transposed=False):
    scores, columns = stream(matrix, k, size, transposed)[0].lists()
    expected = np.array([oracles.order(row)[:k] for row in matrix])
    np.testing.assert_array_equal(columns, expected)
    np.testing.assert_array_equal(scores, np.take_along_axis(matrix, expected, axis=1))
    assert (scores.dtype, columns.dtype) == (np.float32, np.int32)


def integers(rows, columns, most, seed=0):
    return np.random.default_rng(seed).integers(-most, most + 1, size=(rows, columns)).astype(np.float32)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("size", [7, 64, 200])
@pytest.mark.parametrize("k", [1, 5, 50])
def test_ties_go_to_the_smaller_column(k, size, transposed):
    check_best(integers(23, 150, most=3), k, size, transposed)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("k", [1, 5, 100, 1000])
def test_real_valued(k, transposed):
    matrix = np.random.default_rng(k).normal(size=(9, 1000)).astype(np.float32)
    check_best(matrix, k, 512, transposed)


@pytest.mark.parametrize("sign", [1, -1])
def test_columns_that_rise_or_fall(sign):
    check_best(sign * np.tile(np.arange(300, dtype=np.float32), (4, 1)), 5, 64)


@pytest.mark.parametrize("value", [0.25, 0.0, -0.25])
def test_all_alike(value):
    check_best(np.full((6, 90), value, dtype=np.float32), 5, 32)


def test_the_two_zeros_are_equal():
    check_best(np.array([[-1.0, -0.0, 0.0, -0.0, 1e-40, -1e-40]], dtype=np.float32), 6, 3)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_small(rows, columns):
    check_best(integers(rows, columns, most=1), 1, 2)
    check_best(integers(rows, columns, most=1), columns, 2, transposed=True)


def test_first():
    matrix = integers(8, 70, most=4)
    score, column = stream(matrix, 3, 16)[0].first(slice(2, 6))
    np.testing.assert_array_equal(column, matrix[2:6].argmax(axis=1))
    np.testing.assert_array_equal(score, matrix[2:6].max(axis=1))


def softmax_oracle(matrix, temperatures):
    """`log_partition` and `mean_gap`; the largest entry, 1, is added last, so that a sum close to 1 is not rounded."""
    matrix = matrix.astype(np.float64)
    peak, others = matrix.max(axis=1, keepdims=True), np.sort(matrix, axis=1)[:, :-1]
    partition, gap = [], []
    for temperature in temperatures:
        weights = np.exp((others - peak) / temperature)
        partition.append(np.log1p(weights.sum(axis=1)))
        gap.append((weights * (peak - others)).sum(axis=1) / (1 + weights.sum(axis=1)))
    return np.stack(partition, axis=1), np.stack(gap, axis=1)


TEMPERATURES = (0.005, 0.01, 0.07, 3.0)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("size", [9, 32, 1000])
@pytest.mark.parametrize(("mean", "spread"), [(0.2, 0.03), (0.05, 0.01), (-0.5, 0.1), (0.0, 0.4)])
def test_softmax_sums(mean, spread, size, transposed):
    rng = np.random.default_rng(0)
    matrix = (mean + spread * rng.normal(size=(7, 130))).clip(-1, 1).astype(np.float32)
    found = stream(matrix, 5, size, transposed, TEMPERATURES)[1].results()
    for ours, expected in zip(found, softmax_oracle(matrix, TEMPERATURES), strict=True):
        assert ours.shape == (7, 4)
        assert ours.dtype == np.float64
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-30)


def test_softmax_is_that_of_the_whole_row():
    matrix = np.random.default_rng(1).normal(0.2, 0.05, size=(5, 60)).astype(np.float32)
    partition = stream(matrix, 1, 16, temperatures=(0.01,))[1].results()[0][:, 0]
    matrix = matrix.astype(np.float64)
    whole = logsumexp(matrix / 0.01, axis=1) - matrix.max(axis=1) / 0.01
    np.testing.assert_allclose(partition, whole, rtol=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_top1_that_stands_alone_in_any_block(sign):
    """A sum that exceeds 1 by less than float32 can say."""
    matrix = np.tile(sign * np.linspace(-0.5, 0.5, 50, dtype=np.float32), (2, 1))
    for size in (5, 8, 64):
        partition, gap = stream(matrix, 1, size, temperatures=(0.0012,))[1].results()
        expected = softmax_oracle(matrix, (0.0012,))
        assert 0 < partition.max() < 1e-6
        np.testing.assert_allclose(partition, expected[0], rtol=1e-4)
        np.testing.assert_allclose(gap, expected[1], rtol=1e-4)


def test_softmax_of_ties_and_of_one_item():
    alike = stream(np.full((3, 40), 0.3, dtype=np.float32), 2, 16, temperatures=(0.01, 1.0))[1].results()
    np.testing.assert_allclose(alike[0], np.log(40))
    np.testing.assert_array_equal(alike[1], 0)
    alone = stream(np.full((3, 1), 0.3, dtype=np.float32), 1, 16, temperatures=(0.01,))[1].results()
    np.testing.assert_array_equal(alone, 0)


def test_no_temperatures():
    for sums in stream(integers(3, 5, most=1), 1, 2)[1].results():
        assert sums.shape == (3, 0)
