"""What is dropped: how often, how independently, and the same however a batch is cut."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from overtop.encoders.masks import Masks
from overtop.errors import OvertopError

ALL = np.arange(8)


def _mask(shape: tuple[int, ...], rate: float, seed: int = 0, size: int = 8, places: np.ndarray = ALL) -> torch.Tensor:
    with torch.inference_mode(), Masks(seed, size, places):
        return functional.dropout(torch.ones(shape), rate)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2, 0.5, 0.9])
def test_the_rate_is_met_and_the_mean_is_kept(rate: float) -> None:
    mask = _mask((8, 500_000), rate)
    kept = mask.unique()[-1].item()
    assert mask.unique().tolist() == [0.0, kept]
    exact = 1 - 1 / kept  # as far as float32 tells the scale
    assert abs(exact - rate) < 2**-16
    sigma = math.sqrt(rate * (1 - rate) / mask.numel())
    assert abs((mask == 0).float().mean().item() - exact) < 4 * sigma
    assert abs(mask.mean().item() - 1) < 4 * sigma * kept
    lanes = (mask.flatten().unflatten(0, (-1, 4)) == 0).double().mean(dim=0)  # the four words of a random number
    assert (lanes - exact).abs().max() < 4 * 2 * sigma


def test_the_smallest_and_the_largest_rate_still_drop_and_keep() -> None:
    assert (_mask((8, 500_000), 1e-7) == 0).any()
    assert (_mask((8, 500_000), 1 - 1e-7) > 0).any()


def test_entries_layers_items_and_seeds_are_independent() -> None:
    size = 100_000
    with torch.inference_mode(), Masks(3, 8, ALL):
        first, second = (functional.dropout(torch.ones(8, size), 0.3) for _ in range(2))
    streams = [*first, *second, *_mask((8, size), 0.3, seed=4), first[0].roll(1), first[0].roll(4), first[0].roll(16)]
    correlations = torch.corrcoef(torch.stack(streams)).triu(1)
    assert correlations.abs().max() < 5 / math.sqrt(size)


@pytest.mark.parametrize("layer", [(3,), (2, 5, 7)])
def test_parts_and_gaps_get_the_rows_of_the_whole(layer: tuple[int, ...]) -> None:
    whole = _mask((8, *layer), 0.5)
    torch.testing.assert_close(
        torch.cat([_mask((5, *layer), 0.5, places=ALL[:5]), _mask((3, *layer), 0.5, places=ALL[5:])]), whole
    )
    assert torch.equal(_mask((3, *layer), 0.5, places=np.array([1, 4, 6])), whole[[1, 4, 6]])
    heads = _mask((8 * 3, *layer), 0.5)  # items x heads in one dimension
    assert torch.equal(_mask((2 * 3, *layer), 0.5, places=ALL[2:4]), heads[6:12])


def test_later_layers_do_not_depend_on_how_it_is_cut() -> None:
    def layers(places: np.ndarray) -> list[torch.Tensor]:
        with torch.inference_mode(), Masks(1, 8, places):
            shapes = [(3,), (2, 5), (7,)]  # no multiple of four words
            return [functional.dropout(torch.ones(len(places), *shape), 0.5) for shape in shapes]

    for part, whole in zip(layers(ALL[3:5]), layers(ALL), strict=True):
        assert torch.equal(part, whole[3:5])


def _by_hand(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor, scale: float) -> torch.Tensor:
    probabilities = torch.softmax(q @ k.transpose(-1, -2) * scale + bias, dim=-1)
    return (probabilities * _mask(tuple(probabilities.shape), 0.4)) @ v


@pytest.mark.parametrize("kind", ["plain", "additive", "boolean", "causal", "scaled"])
def test_attention_is_that_of_the_definition(kind: str) -> None:
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
        without = functional.scaled_dot_product_attention(q, k, v, **options)
        with Masks(0, 8, ALL) as masks:
            torch.testing.assert_close(functional.scaled_dot_product_attention(q, k, v, **options), without)
            assert masks.drawn == 0
            found = functional.scaled_dot_product_attention(q, k, v, dropout_p=0.4, **options)
            assert masks.drawn == 1
        torch.testing.assert_close(found, _by_hand(q, k, v, bias, 0.1 if kind == "scaled" else 0.5))


def test_softmax_is_in_float32_and_the_result_in_the_values_type() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 8, 2, 5, 4)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        with Masks(0, 8, ALL):
            low = functional.scaled_dot_product_attention(q.bfloat16(), k.bfloat16(), v.bfloat16(), dropout_p=0.4)
        expected = _by_hand(*(x.bfloat16().float() for x in (q, k, v)), torch.zeros(5, 5), 0.5)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), expected.float(), atol=0.05, rtol=0.02)


def test_dropout_that_is_off_draws_nothing_and_torchs_generator_rests() -> None:
    x = torch.randn(8, 3)
    before = torch.get_rng_state()
    with torch.inference_mode(), Masks(0, 8, ALL) as masks:
        assert functional.dropout(x, 0.5, training=False) is x
        assert functional.dropout(x, 0.0) is x
        assert masks.drawn == 0
        functional.dropout(x, 0.5)
    assert torch.equal(before, torch.get_rng_state())


def test_items_that_cannot_be_told_apart_are_an_error() -> None:
    with pytest.raises(OvertopError, match="cannot be told apart"):
        _mask((7, 8), 0.5)
