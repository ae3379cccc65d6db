import numpy as np
import pytest
from scipy.special import logsumexp

from helpers import oracles
from helpers.blocks import iterate_blocks
from overtop.retrieval.softmax_sums import SoftmaxSums
from overtop.retrieval.topk import TopK

TEMPERATURES = (0.005, 0.01, 0.07, 3.0)


def accumulate(matrix, k, size, temperatures, transposed=False):
    """Return the softmax sums of a matrix that is passed in blocks of `size` columns."""
    topk, sums = TopK(len(matrix), k, "cpu"), SoftmaxSums(len(matrix), temperatures, True, "cpu")
    for block, unpadded, rows, first_column in iterate_blocks(matrix, size, transposed):
        topk.update(block, rows, first_column)
        sums.update(unpadded, rows, first_column, topk)
    return sums.results()


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("size", [9, 32, 1000])
@pytest.mark.parametrize(("mean", "spread"), [(0.2, 0.03), (0.05, 0.01), (-0.5, 0.1), (0.0, 0.4)])
def test_sums_equal_those_of_the_whole_matrix(mean, spread, size, transposed):
    rng = np.random.default_rng(0)
    matrix = (mean + spread * rng.normal(size=(7, 130))).clip(-1, 1).astype(np.float32)
    results = accumulate(matrix, 5, size, TEMPERATURES, transposed)
    for sums, expected in zip(results[:2], oracles.softmax_sums(matrix, TEMPERATURES), strict=True):
        assert sums.shape == (7, 4)
        assert sums.dtype == np.float64
        np.testing.assert_allclose(sums, expected, rtol=1e-5, atol=1e-30)


def test_log_partition_equals_logsumexp():
    matrix = np.random.default_rng(1).normal(0.2, 0.05, size=(5, 60)).astype(np.float32)
    log_partition = accumulate(matrix, 1, 16, (0.01,))[0][:, 0]
    matrix = matrix.astype(np.float64)
    expected = logsumexp(matrix / 0.01, axis=1) - matrix.max(axis=1) / 0.01
    np.testing.assert_allclose(log_partition, expected, rtol=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_of_a_dominant_entry_are_exact(sign):
    """The whole sum exceeds 1 by less than the resolution of float32."""
    matrix = np.tile(sign * np.linspace(-0.5, 0.5, 50, dtype=np.float32), (2, 1))
    for size in (5, 8, 64):
        log_partition, mean_gap = accumulate(matrix, 1, size, (0.0012,))[:2]
        expected = oracles.softmax_sums(matrix, (0.0012,))
        assert 0 < log_partition.max() < 1e-6
        np.testing.assert_allclose(log_partition, expected[0], rtol=1e-4)
        np.testing.assert_allclose(mean_gap, expected[1], rtol=1e-4)


def test_sums_of_equal_entries_are_uniform():
    log_partition, mean_gap = accumulate(np.full((3, 40), 0.3, dtype=np.float32), 2, 16, (0.01, 1.0))[:2]
    np.testing.assert_allclose(log_partition, np.log(40))
    np.testing.assert_array_equal(mean_gap, 0)


def test_sums_of_one_entry_are_zero():
    for sums in accumulate(np.full((3, 1), 0.3, dtype=np.float32), 1, 16, (0.01,)):
        np.testing.assert_array_equal(sums, 0)


def test_no_temperatures_give_no_columns():
    for sums in accumulate(np.zeros((3, 5), dtype=np.float32), 1, 2, ()):
        assert sums.shape == (3, 0)
