import numpy as np
import pytest
import torch

from helpers import oracles
from overtop.errors import OvertopError
from overtop.retrieval import matmul as matmul_module
from overtop.retrieval.matmul import TRUNCATION_BOUND, Float32Matmul, SplitBfloat16Matmul, select_matmul


def random_units(rng, rows, dim):
    return torch.from_numpy(oracles.normalise(rng.normal(size=(rows, dim))).astype(np.float32))


def multiply(matmul, left, right):
    """Return left @ right.T, written to the corner of a larger matrix as in the ranking pass."""
    out = torch.full((len(left) + 3, len(right) + 5), 7.0)
    with matmul.torch_settings():
        matmul.multiply(matmul.prepare(left), matmul.prepare(right), out=out[: len(left), : len(right)])
    assert (out[len(left) :] == 7).all()
    assert (out[:, len(right) :] == 7).all()
    return out[: len(left), : len(right)].numpy()


def multiply_in_float64(left, right):
    return left.numpy().astype(np.float64) @ right.numpy().astype(np.float64).T


@pytest.mark.parametrize("dim", [1, 3, 512, 768])
@pytest.mark.parametrize("matmul", [Float32Matmul(), SplitBfloat16Matmul()])
def test_products_equal_float64(matmul, dim):
    rng = np.random.default_rng(dim)
    left, right = random_units(rng, 40, dim), random_units(rng, 30, dim)
    np.testing.assert_allclose(multiply(matmul, left, right), multiply_in_float64(left, right), atol=3e-7)


def test_split_bfloat16_is_as_accurate_as_float32(mirror):
    embeddings = np.load(mirror / "embeddings" / "flickr8k_test_openai_clip_vitb32.npz")
    left, right = (
        torch.from_numpy(oracles.normalise(embeddings[side]).astype(np.float32)) for side in ("text", "image")
    )
    expected = multiply_in_float64(left, right)
    errors = [
        np.abs(multiply(matmul, left, right) - expected).max() for matmul in (Float32Matmul(), SplitBfloat16Matmul())
    ]
    # The rounding of float32 differs between processors: six sums round more often than one with fused operations.
    assert errors[1] < max(2 * errors[0], 6e-7)


def test_truncated_terms_are_below_the_bound():
    rng = np.random.default_rng(0)
    left, right = (
        [part.double() for part in SplitBfloat16Matmul().prepare(random_units(rng, 200, 512))] for _ in range(2)
    )
    truncated = left[1] @ right[2].T + left[2] @ right[1].T + left[2] @ right[2].T
    assert 0 < truncated.abs().max() < TRUNCATION_BOUND


def test_split_parts_are_bfloat16_values_that_add_up():
    units = random_units(np.random.default_rng(1), 200, 64)
    parts = SplitBfloat16Matmul().prepare(units)
    assert len(parts) == SplitBfloat16Matmul.operand_parts
    for part, bound in zip(parts, (1.01, 2.0**-8, 2.0**-16), strict=True):
        assert torch.equal(part, part.to(torch.bfloat16).to(torch.float32))
        assert (part.abs() <= bound * units.abs()).all()
    assert torch.equal(sum(part.double() for part in parts), units.double())


def test_torch_settings_are_restored():
    before = torch.get_float32_matmul_precision()
    with SplitBfloat16Matmul().torch_settings():
        assert torch.get_float32_matmul_precision() == "medium"
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize(("has_tiles", "expected"), [(True, SplitBfloat16Matmul), (False, Float32Matmul)])
def test_auto_precision_depends_on_the_processor(monkeypatch, has_tiles, expected):
    monkeypatch.setattr(matmul_module, "has_bfloat16_tiles", lambda: has_tiles)
    assert isinstance(select_matmul("auto", "cpu"), expected)
    assert isinstance(select_matmul("auto", "cuda"), Float32Matmul)
    assert isinstance(select_matmul("float32", "cpu"), Float32Matmul)
    assert isinstance(select_matmul("bfloat16", "cpu"), SplitBfloat16Matmul)


def test_unknown_precision_is_an_error():
    with pytest.raises(OvertopError, match="'float16' is unknown"):
        select_matmul("float16", "cpu")
