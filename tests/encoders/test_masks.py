"""Dropout masks have the requested rate, are independent, and do not depend on how a batch is split."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from overtop.encoders.masks import DropoutMasks
from overtop.errors import OvertopError

ALL_POSITIONS = np.arange(8)


def _mask(shape: tuple[int, ...], rate: float, seed: int = 0, positions: np.ndarray = ALL_POSITIONS) -> torch.Tensor:
    with torch.inference_mode(), DropoutMasks(seed, 8, positions):
        return functional.dropout(torch.ones(shape), rate)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2, 0.5, 0.9])
def test_mask_has_the_requested_rate_and_mean_one(rate: float) -> None:
    mask = _mask((8, 500_000), rate)
    factor = mask.unique()[-1].item()
    assert mask.unique().tolist() == [0.0, factor]
    exact = 1 - 1 / factor  # to the precision of float32
    assert abs(exact - rate) < 2**-16
    sigma = math.sqrt(rate * (1 - rate) / mask.numel())
    assert abs((mask == 0).float().mean().item() - exact) < 4 * sigma
    assert abs(mask.mean().item() - 1) < 4 * sigma * factor
    lanes = (mask.flatten().unflatten(0, (-1, 4)) == 0).double().mean(dim=0)  # the four 16-bit words of a random number
    assert (lanes - exact).abs().max() < 4 * 2 * sigma


def test_extreme_rates_still_drop_and_keep_some_entries() -> None:
    assert (_mask((8, 500_000), 1e-7) == 0).any()
    assert (_mask((8, 500_000), 1 - 1e-7) > 0).any()


def test_masks_of_entries_layers_items_and_seeds_are_independent() -> None:
    size = 100_000
    with torch.inference_mode(), DropoutMasks(3, 8, ALL_POSITIONS):
        first, second = (functional.dropout(torch.ones(8, size), 0.3) for _ in range(2))
    streams = [*first, *second, *_mask((8, size), 0.3, seed=4), first[0].roll(1), first[0].roll(4), first[0].roll(16)]
    correlations = torch.corrcoef(torch.stack(streams)).triu(1)
    assert correlations.abs().max() < 5 / math.sqrt(size)


@pytest.mark.parametrize("layer", [(3,), (2, 5, 7)])
def test_masks_of_a_part_are_rows_of_the_full_batch(layer: tuple[int, ...]) -> None:
    whole = _mask((8, *layer), 0.5)
    torch.testing.assert_close(
        torch.cat(
            [_mask((5, *layer), 0.5, positions=ALL_POSITIONS[:5]), _mask((3, *layer), 0.5, positions=ALL_POSITIONS[5:])]
        ),
        whole,
    )
    assert torch.equal(_mask((3, *layer), 0.5, positions=np.array([1, 4, 6])), whole[[1, 4, 6]])
    heads = _mask((8 * 3, *layer), 0.5)  # items x heads in one dimension
    assert torch.equal(_mask((2 * 3, *layer), 0.5, positions=ALL_POSITIONS[2:4]), heads[6:12])


def test_masks_of_later_layers_do_not_depend_on_how_the_batch_is_split() -> None:
    def sample_layers(positions: np.ndarray) -> list[torch.Tensor]:
        with torch.inference_mode(), DropoutMasks(1, 8, positions):
            shapes = [(3,), (2, 5), (7,)]  # not multiples of four words
            return [functional.dropout(torch.ones(len(positions), *shape), 0.5) for shape in shapes]

    for part, whole in zip(sample_layers(ALL_POSITIONS[3:5]), sample_layers(ALL_POSITIONS), strict=True):
        assert torch.equal(part, whole[3:5])


def _reference_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor, scale: float
) -> torch.Tensor:
    probabilities = torch.softmax(q @ k.transpose(-1, -2) * scale + bias, dim=-1)
    return (probabilities * _mask(tuple(probabilities.shape), 0.4)) @ v


@pytest.mark.parametrize("kind", ["plain", "additive", "boolean", "causal", "scaled"])
def test_attention_with_dropout_equals_its_definition(kind: str) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 8, 2, 5, 4)
    allowed = torch.ones(5, 5, dtype=torch.bool).tril()
    bias = torch.zeros(5, 5) if kind in ("plain", "scaled") else torch.zeros(5, 5).masked_fill(~allowed, -torch.inf)
    options = {
        "plain": {},
        "additive": {"attn_mask": bias},
        "boolean": {"attn_mask": allowed},
        "causal": {"is_causal": True},
        "scaled": {"scale": 0.1},
    }[kind]
    with torch.inference_mode():
        without_dropout = functional.scaled_dot_product_attention(q, k, v, **options)
        with DropoutMasks(0, 8, ALL_POSITIONS) as masks:
            torch.testing.assert_close(functional.scaled_dot_product_attention(q, k, v, **options), without_dropout)
            assert masks.n_drawn == 0
            output = functional.scaled_dot_product_attention(q, k, v, dropout_p=0.4, **options)
            assert masks.n_drawn == 1
        torch.testing.assert_close(output, _reference_attention(q, k, v, bias, 0.1 if kind == "scaled" else 0.5))


def test_softmax_is_computed_in_float32_and_returned_in_the_type_of_the_values() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 8, 2, 5, 4)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        with DropoutMasks(0, 8, ALL_POSITIONS):
            low_precision = functional.scaled_dot_product_attention(
                q.bfloat16(), k.bfloat16(), v.bfloat16(), dropout_p=0.4
            )
        expected = _reference_attention(*(x.bfloat16().float() for x in (q, k, v)), torch.zeros(5, 5), 0.5)
    assert low_precision.dtype == torch.bfloat16
    torch.testing.assert_close(low_precision.float(), expected.float(), atol=0.05, rtol=0.02)


def test_disabled_dropout_draws_no_mask_and_global_generator_is_unchanged() -> None:
    x = torch.randn(8, 3)
    before = torch.get_rng_state()
    with torch.inference_mode(), DropoutMasks(0, 8, ALL_POSITIONS) as masks:
        assert functional.dropout(x, 0.5, training=False) is x
        assert functional.dropout(x, 0.0) is x
        assert masks.n_drawn == 0
        functional.dropout(x, 0.5)
    assert torch.equal(before, torch.get_rng_state())


def test_layer_without_batch_dimension_first_is_rejected() -> None:
    with pytest.raises(OvertopError, match="cannot be assigned to items"):
        _mask((7, 8), 0.5)
