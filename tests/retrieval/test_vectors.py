import numpy as np
import pytest
import torch

from helpers import oracles
from overtop.errors import OvertopError
from overtop.retrieval import vectors
from overtop.retrieval.vectors import UnitVectors, read_unit_vectors
from overtop.storage.shards import ArraySource

EMBEDDINGS = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
SOURCE = ArraySource([np.ones((40, 3)), EMBEDDINGS])


@pytest.mark.parametrize("rows", [slice(7, 31), np.arange(7, 31), np.array([0, 1, 5, 38])])
def test_vectors_equal_the_reference_for_any_size_of_reads(rows, monkeypatch):
    whole = read_unit_vectors(SOURCE, 1, rows, "cpu")
    np.testing.assert_allclose(whole, oracles.normalise(EMBEDDINGS[rows]), atol=1e-7)
    assert whole.dtype == torch.float32
    monkeypatch.setattr(vectors, "READ_ITEMS", 5)
    monkeypatch.setattr(vectors, "CHUNK_ITEMS", 2)
    assert torch.equal(read_unit_vectors(SOURCE, 1, rows, "cpu"), whole)


def test_vectors_in_float64_are_normalised_in_float64():
    units = read_unit_vectors(SOURCE, 1, slice(0, 40), "cpu", torch.float64)
    np.testing.assert_allclose(units, oracles.normalise(EMBEDDINGS), atol=1e-15)


def test_repeated_items_are_gathered_in_the_shape_of_the_array():
    items = np.array([[3, 3, 39], [0, 3, 1]])
    units = UnitVectors(SOURCE, 1, items, "cpu")
    expected = oracles.normalise(EMBEDDINGS[items])
    np.testing.assert_allclose(units[:], expected, atol=1e-7)
    np.testing.assert_allclose(units[1], expected[1], atol=1e-7)
    np.testing.assert_allclose(units[:, 1:], expected[:, 1:], atol=1e-7)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_invalid_embedding_is_named(value):
    embeddings = EMBEDDINGS.copy()
    embeddings[[4, 9]] = value
    source = ArraySource([embeddings], [f"item-{i}" for i in range(40)])
    with pytest.raises(OvertopError, match=r"'item-4' in sample 0 .*\(2 such"):
        read_unit_vectors(source, 0, slice(2, 20), "cpu")


@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e-22, 1e-16, 1e16, 1e19, 1e30, 5e37])
def test_embedding_of_any_length_is_normalised(scale):
    """The squares of very long or short vectors are outside the range of float32."""
    rows = np.array([[3.0, 4.0, 0.0], [1.0, 2.0, 2.0]], dtype=np.float32)
    scaled = rows.copy()
    scaled[0] = (rows[0].astype(np.float64) * scale).astype(np.float32)
    units = read_unit_vectors(ArraySource([scaled]), 0, slice(0, 2), "cpu").numpy()
    rounded = scaled[0].astype(np.float64) / np.linalg.norm(scaled[0].astype(np.float64))
    np.testing.assert_allclose(units[0], rounded, rtol=1e-6)
    np.testing.assert_array_equal(units[1], rows[1] / np.float32(3))
    assert scaled[0, 0] == np.float32(3.0 * scale)
