"""Dropout is on in attention and nowhere else, in every kind of tower that open_clip builds."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from overtop.encoders.compat import open_clip
from overtop.encoders.dropout import attention_dropout
from overtop.encoders.loading import Encoder
from overtop.encoders.masks import Masks
from overtop.errors import OvertopError


class _Towers(nn.Module):
    """Just enough of an open_clip model."""

    def __init__(self, visual: nn.Module, text: nn.Module) -> None:
        super().__init__()
        self.visual, self.text = visual, text
        self.eval()


def test_what_is_on_in_clip(encoder: Encoder) -> None:
    model = encoder.model
    model.visual.transformer.resblocks[0].mlp.add_module("other", nn.Dropout(0.9).eval())
    with attention_dropout(model, 0.3) as record:
        assert record == {"image": "attention dropout in 3 layers", "text": "attention dropout in 2 layers"}
        training = [module for module in model.modules() if module.training]
        assert len(training) == 5
        assert all(isinstance(module, nn.MultiheadAttention) and module.dropout == 0.3 for module in training)
    assert not any(module.training for module in model.modules())
    assert all(m.dropout == 0.0 for m in model.modules() if isinstance(m, nn.MultiheadAttention))


def test_all_is_as_before_after_an_error(encoder: Encoder) -> None:
    with pytest.raises(ZeroDivisionError), attention_dropout(encoder.model, 0.3):
        raise ZeroDivisionError
    assert not any(module.training for module in encoder.model.modules())


def test_samples_scatter_around_the_deterministic_embedding(encoder: Encoder) -> None:
    tokens, _ = encoder.tokenize(["a large red circle left of a small blue square"])
    with torch.inference_mode():
        plain = encoder.model.encode_text(tokens)[0]
        torch.manual_seed(0)
        with attention_dropout(encoder.model, 0.2):
            samples = encoder.model.encode_text(tokens.expand(1000, -1))  # masks are drawn for every item
    spread = samples.std(dim=0)
    assert (spread > 0).all()
    assert ((samples.mean(dim=0) - plain).abs() < spread).all()  # near, not equal: the network is not linear
    assert functional.cosine_similarity(samples.mean(dim=0), plain, dim=0) > 0.99


def test_it_is_the_attention_probabilities_that_are_dropped(encoder: Encoder) -> None:
    """Mean and variance agree with attention written out, its probabilities dropped."""
    attention = encoder.model.visual.transformer.resblocks[0].attn
    torch.manual_seed(0)
    x = torch.randn(1, 10, 64).expand(5_000, -1, -1)
    with torch.inference_mode():
        with attention_dropout(encoder.model, 0.4):
            found = attention(x, x, x, need_weights=False)[0]
        expected = _attention_by_hand(attention, x, 0.4)
    torch.testing.assert_close(found.mean(dim=0), expected.mean(dim=0), atol=3e-2, rtol=0)
    torch.testing.assert_close(found.var(dim=0), expected.var(dim=0), atol=2e-3, rtol=0.15)
    assert found.var(dim=0).min() > 1e-4


def _attention_by_hand(attention: nn.MultiheadAttention, x: torch.Tensor, rate: float) -> torch.Tensor:
    heads = attention.num_heads
    q, k, v = functional.linear(x, attention.in_proj_weight, attention.in_proj_bias).chunk(3, dim=-1)
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    probabilities = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, dim=-1)
    kept = (torch.rand_like(probabilities) >= rate) / (1 - rate)
    mixed = ((probabilities * kept) @ v).transpose(1, 2).flatten(-2)
    return functional.linear(mixed, attention.out_proj.weight, attention.out_proj.bias)


def _custom_blocks() -> nn.Module:
    return open_clip.transformer.CustomTransformer(width=32, layers=2, heads=2)


def _timm(name: str, **options: Any) -> nn.Module:
    return open_clip.timm_model.TimmModel(name, embed_dim=8, **options)


def _hugging_face() -> nn.Module:
    from transformers import BertConfig

    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    return open_clip.hf_model.HFTextEncoder("", 8, config=config, pooler_type="mean_pooler", proj_type="linear")


def _t5() -> nn.Module:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2))


def _pooled_by_attention() -> nn.Module:
    options = {
        "image_size": 32,
        "patch_size": 16,
        "width": 32,
        "layers": 2,
        "heads": 2,
        "mlp_ratio": 2,
        "output_dim": 8,
    }
    return open_clip.transformer.VisionTransformer(**options, attentional_pool=True, attn_pooler_heads=2)


TOWERS = [
    (_custom_blocks, (1, 5, 32), "attention dropout in 2 layers"),
    (_pooled_by_attention, (1, 3, 32, 32), "attention dropout in 3 layers"),
    (lambda: _timm("vit_tiny_patch16_224"), (1, 3, 224, 224), "attention dropout in 12 layers"),
    (lambda: _timm("tf_efficientnet_lite0", drop=0.5), (1, 3, 64, 64), "head dropout"),
    (_hugging_face, None, "attention dropout in 2 layers"),
    (_t5, None, "attention dropout in 2 layers"),
]


@pytest.mark.parametrize(("build", "shape", "words"), TOWERS)
def test_other_kinds_of_towers(build: Any, shape: tuple[int, ...] | None, words: str) -> None:
    torch.manual_seed(0)
    tower = build().eval()
    item = torch.arange(1, 6)[None] if shape is None else torch.randn(shape)
    model = _Towers(tower, nn.Identity())
    with torch.inference_mode():
        plain = _output(tower, item)
        with attention_dropout(model, 0.5) as record:
            assert record == {"image": words, "text": "none"}
            one, other = _output(tower, item), _output(tower, item)
            modules = [module for module in tower.modules() if isinstance(module, nn.Dropout) and module.training]
        after = _output(tower, item)
    assert not torch.equal(one, other)
    assert not torch.equal(one, plain)
    assert torch.equal(plain, after)
    layers = 1 if words == "head dropout" else int(words.split()[3])
    assert len(modules) in (0, layers)  # the fused kernels of T5 have a rate and no module


@pytest.mark.parametrize(("build", "shape", "words"), TOWERS)
def test_masks_reach_every_kind_of_tower(build: Any, shape: tuple[int, ...] | None, words: str) -> None:
    """Each layer draws its mask from the stream, and a part of the batch gets its rows."""
    torch.manual_seed(0)
    tower = build().eval()
    items = torch.randint(1, 50, (4, 5)) if shape is None else torch.randn(4, *shape[1:])
    before = torch.get_rng_state()
    with torch.inference_mode(), attention_dropout(_Towers(tower, nn.Identity()), 0.5):
        with Masks(7, 4, np.arange(4)) as masks:
            whole = _output(tower, items)
        with Masks(7, 4, np.arange(1, 3)):
            part = _output(tower, items[1:3])
        with Masks(8, 4, np.arange(4)):
            other = _output(tower, items)
    assert masks.drawn == (1 if words == "head dropout" else int(words.split()[3]))
    assert torch.equal(before, torch.get_rng_state())
    torch.testing.assert_close(part, whole[1:3], atol=1e-4, rtol=1e-4)
    assert (other - whole).abs().max() > 100 * (part - whole[1:3]).abs().max()


def _output(tower: nn.Module, item: torch.Tensor) -> torch.Tensor:
    found = tower(item)
    return found if isinstance(found, torch.Tensor) else found.last_hidden_state


def test_the_trunk_before_a_dropped_head_runs_once_per_batch() -> None:
    tower = _timm("tf_efficientnet_lite0", drop=0.5).eval()
    runs: list[int] = []
    tower.trunk.conv_stem.register_forward_hook(lambda *_: runs.append(1))
    one, other = torch.randn(2, 1, 3, 64, 64)
    with torch.inference_mode():
        with attention_dropout(_Towers(tower, nn.Identity()), 0.5):
            torch.manual_seed(0)
            samples = [tower(batch) for batch in (one, one, one, other)]
        assert len(runs) == 2
        torch.manual_seed(0)
        expected = [tower.head[1](functional.dropout(tower.trunk(batch), 0.5)) for batch in (one, one, one, other)]
    assert len(runs) == 6
    torch.testing.assert_close(torch.stack(samples), torch.stack(expected))
    assert not torch.equal(samples[0], samples[1])


def test_the_patches_are_embedded_once_per_batch(encoder: Encoder) -> None:
    runs: list[int] = []
    model = encoder.model
    original = model.visual.conv1._conv_forward
    model.visual.conv1._conv_forward = lambda *args: runs.append(1) or original(*args)
    one, other = torch.randn(2, 2, 3, 48, 48)
    with torch.inference_mode(), attention_dropout(model, 0.3):
        torch.manual_seed(0)
        samples = [model.encode_image(batch) for batch in (one, one, other)]
    assert len(runs) == 2
    with torch.inference_mode(), attention_dropout(model, 0.3):
        torch.manual_seed(0)
        for batch, sample in zip((one, one, other), samples, strict=True):
            assert torch.equal(model.encode_image(batch.clone()), sample)
    assert len(runs) == 5


def test_nothing_to_drop_is_an_error() -> None:
    with (
        pytest.raises(OvertopError, match="neither tower"),
        attention_dropout(_Towers(nn.Linear(2, 2), nn.Identity()), 0.2),
    ):
        pass
