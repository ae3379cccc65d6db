import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from overtop.training.attention_maps import attention_map, map_distance


def upsample(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear interpolation by loops; pixel centres of both grids are aligned at the borders of the image."""
    result = np.empty(size)
    for position in np.ndindex(size):
        neighbours = []
        for index, length, cells in zip(position, size, values.shape, strict=True):
            source = max((index + 0.5) * cells / length - 0.5, 0.0)
            low = min(int(source), cells - 1)
            neighbours.append((low, min(low + 1, cells - 1), source - low))
        (top, bottom, down), (left, right, across) = neighbours
        upper = (1 - across) * values[top, left] + across * values[top, right]
        lower = (1 - across) * values[bottom, left] + across * values[bottom, right]
        result[position] = (1 - down) * upper + down * lower
    return result


def make_patches(seed: int, h: int = 2, w: int = 3) -> torch.Tensor:
    return torch.randn(4, 5, h, w, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def texts() -> torch.Tensor:
    return torch.nn.functional.normalize(make_patches(9)[:, :, 0, 0], dim=-1)


def test_map_equals_loops_over_patches(texts):
    patches = make_patches(0)
    maps = attention_map(patches, texts)
    for image, text, result in zip(patches.numpy(), texts.numpy(), maps.numpy(), strict=True):
        cosines = np.array(
            [[image[:, i, j] @ text / np.linalg.norm(image[:, i, j]) for j in range(3)] for i in range(2)]
        )
        np.testing.assert_allclose(result, (cosines - cosines.min()) / (cosines.max() - cosines.min()), atol=1e-12)


@pytest.mark.parametrize("size", [(4, 6), (7, 5), (2, 3)])
def test_distance_equals_that_of_maps_interpolated_by_loops(texts, size):
    first, second = attention_map(make_patches(0), texts), attention_map(make_patches(1), texts)
    expected = [
        math.sqrt(np.square(upsample(a, size) - upsample(b, size)).sum())
        for a, b in zip(first.numpy(), second.numpy(), strict=True)
    ]
    np.testing.assert_allclose(map_distance(first, second, size).numpy(), expected, rtol=1e-12)


def test_gradient_of_distance_equals_finite_differences(texts):
    reference = attention_map(make_patches(1), texts)
    patches = make_patches(0).requires_grad_()
    assert gradcheck(lambda x: map_distance(attention_map(x, texts), reference, (4, 4)), patches)


@pytest.mark.parametrize("patches", [torch.ones(4, 5, 2, 3), torch.ones(4, 5, 1, 1), torch.zeros(4, 5, 2, 3)])
def test_constant_similarity_gives_an_empty_map_and_finite_gradients(texts, patches):
    patches = patches.double().requires_grad_()
    maps = attention_map(patches, texts)
    assert (maps == 0).all()
    reference = attention_map(make_patches(1), texts)[:, : maps.shape[1], : maps.shape[2]]
    [gradient] = torch.autograd.grad(map_distance(maps, reference, (4, 4)).sum(), patches)
    assert gradient.isfinite().all()


def test_equal_maps_have_no_distance_and_no_gradient(texts):
    patches = make_patches(0).requires_grad_()
    distance = map_distance(attention_map(patches, texts), attention_map(patches.detach(), texts), (4, 4))
    assert (distance == 0).all()
    assert (torch.autograd.grad(distance.sum(), patches)[0] == 0).all()
