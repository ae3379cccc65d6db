import numpy as np
import pytest
import torch

from helpers import oracles
from overtop.errors import OvertopError
from overtop.retrieval import matmul as products
from overtop.retrieval.matmul import TRUNCATION, Float32, SplitBfloat16, product_for


def unit(rng, rows, dim):
    return torch.from_numpy(oracles.unit(rng.normal(size=(rows, dim))).astype(np.float32))


def multiply(product, left, right):
    """With an output that is a corner of a larger matrix, as in the ranking."""
    out = torch.full((len(left) + 3, len(right) + 5), 7.0)
    with product.ready():
        product.multiply(product.prepare(left), product.prepare(right), out=out[: len(left), : len(right)])
    assert (out[len(left) :] == 7).all()
    assert (out[:, len(right) :] == 7).all()
    return out[: len(left), : len(right)].numpy()


@pytest.mark.parametrize("dim", [1, 3, 512, 768])
@pytest.mark.parametrize("product", [Float32(), SplitBfloat16()])
def test_products_are_those_of_float64(product, dim):
    rng = np.random.default_rng(dim)
    left, right = unit(rng, 40, dim), unit(rng, 30, dim)
    exact = left.numpy().astype(np.float64) @ right.numpy().astype(np.float64).T
    np.testing.assert_allclose(multiply(product, left, right), exact, atol=3e-7)


def test_six_products_are_as_exact_as_float32(mirror):
    embeddings = np.load(mirror / "embeddings" / "flickr8k_test_openai_clip_vitb32.npz")
    left, right = (torch.from_numpy(oracles.unit(embeddings[side]).astype(np.float32)) for side in ("text", "image"))
    exact = left.numpy().astype(np.float64) @ right.numpy().astype(np.float64).T
    off = [np.abs(multiply(product, left, right) - exact).max() for product in (Float32(), SplitBfloat16())]
    assert off[1] < 2 * off[0]


def test_what_is_left_out_stays_below_the_bound():
    rng = np.random.default_rng(0)
    left, right = ([part.double() for part in SplitBfloat16().prepare(unit(rng, 200, 512))] for _ in range(2))
    left_out = left[1] @ right[2].T + left[2] @ right[1].T + left[2] @ right[2].T
    assert 0 < left_out.abs().max() < TRUNCATION


def test_parts_are_held_by_bfloat16_and_add_up():
    side = unit(np.random.default_rng(1), 200, 64)
    parts = SplitBfloat16().prepare(side)
    assert len(parts) == SplitBfloat16.parts
    for part, size in zip(parts, (1.01, 2.0**-8, 2.0**-16), strict=True):
        assert torch.equal(part, part.to(torch.bfloat16).to(torch.float32))
        assert (part.abs() <= size * side.abs()).all()
    assert torch.equal(sum(part.double() for part in parts), side.double())


def test_torch_multiplies_as_before_afterwards():
    before = torch.get_float32_matmul_precision()
    with SplitBfloat16().ready():
        assert torch.get_float32_matmul_precision() == "medium"
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize(("tiles", "kind"), [(True, SplitBfloat16), (False, Float32)])
def test_auto_follows_the_processor(monkeypatch, tiles, kind):
    monkeypatch.setattr(products, "_has_bfloat16_tiles", lambda: tiles)
    assert isinstance(product_for("auto", "cpu"), kind)
    assert isinstance(product_for("auto", "cuda"), Float32)
    assert isinstance(product_for("float32", "cpu"), Float32)
    assert isinstance(product_for("bfloat16", "cpu"), SplitBfloat16)


def test_unknown_precision():
    with pytest.raises(OvertopError, match="'float16' is unknown"):
        product_for("float16", "cpu")
