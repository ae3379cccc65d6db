"""Dropout is enabled in attention alone, in every kind of tower that open_clip builds."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import BertConfig, T5Config, T5EncoderModel

from overtop.encoders.compat import open_clip
from overtop.encoders.dropout import attention_dropout
from overtop.encoders.loading import Encoder
from overtop.encoders.masks import DropoutMasks
from overtop.errors import OvertopError


class _TwoTowerModel(nn.Module):
    """The attributes of an open_clip model that `attention_dropout` uses."""

    def __init__(self, visual: nn.Module, text: nn.Module) -> None:
        super().__init__()
        self.visual, self.text = visual, text
        self.eval()


def test_clip_has_dropout_only_in_its_attention_layers(encoder: Encoder) -> None:
    model = encoder.model
    model.visual.transformer.resblocks[0].mlp.add_module("other", nn.Dropout(0.9).eval())
    with attention_dropout(model, 0.3) as descriptions:
        assert descriptions == {"image": "attention dropout in 3 layers", "text": "attention dropout in 2 layers"}
        training = [module for module in model.modules() if module.training]
        assert len(training) == 5
        assert all(isinstance(module, nn.MultiheadAttention) and module.dropout == 0.3 for module in training)
    assert not any(module.training for module in model.modules())
    assert all(m.dropout == 0.0 for m in model.modules() if isinstance(m, nn.MultiheadAttention))


def test_dropout_is_disabled_after_an_error(encoder: Encoder) -> None:
    with pytest.raises(ZeroDivisionError), attention_dropout(encoder.model, 0.3):
        raise ZeroDivisionError
    assert not any(module.training for module in encoder.model.modules())


def test_samples_vary_around_the_deterministic_embedding(encoder: Encoder) -> None:
    tokens, _ = encoder.tokenize(["a large red circle left of a small blue square"])
    with torch.inference_mode():
        deterministic = encoder.model.encode_text(tokens)[0]
        torch.manual_seed(0)
        with attention_dropout(encoder.model, 0.2):
            samples = encoder.model.encode_text(tokens.expand(1000, -1))  # every item has its own mask
    spread = samples.std(dim=0)
    assert (spread > 0).all()
    assert ((samples.mean(dim=0) - deterministic).abs() < spread).all()  # not equal, because the network is not linear
    assert functional.cosine_similarity(samples.mean(dim=0), deterministic, dim=0) > 0.99


def test_dropout_is_applied_to_the_attention_probabilities(encoder: Encoder) -> None:
    """Mean and variance equal those of a step-by-step attention with dropout of its probabilities."""
    attention = encoder.model.visual.transformer.resblocks[0].attn
    torch.manual_seed(0)
    x = torch.randn(1, 10, 64).expand(5_000, -1, -1)
    with torch.inference_mode():
        with attention_dropout(encoder.model, 0.4):
            output = attention(x, x, x, need_weights=False)[0]
        expected = _reference_attention(attention, x, 0.4)
    torch.testing.assert_close(output.mean(dim=0), expected.mean(dim=0), atol=3e-2, rtol=0)
    torch.testing.assert_close(output.var(dim=0), expected.var(dim=0), atol=2e-3, rtol=0.15)
    assert output.var(dim=0).min() > 1e-4


def _reference_attention(attention: nn.MultiheadAttention, x: torch.Tensor, rate: float) -> torch.Tensor:
    heads = attention.num_heads
    q, k, v = functional.linear(x, attention.in_proj_weight, attention.in_proj_bias).chunk(3, dim=-1)
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    probabilities = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, dim=-1)
    mask = (torch.rand_like(probabilities) >= rate) / (1 - rate)
    output = ((probabilities * mask) @ v).transpose(1, 2).flatten(-2)
    return functional.linear(output, attention.out_proj.weight, attention.out_proj.bias)


def _custom_transformer() -> nn.Module:
    return open_clip.transformer.CustomTransformer(width=32, layers=2, heads=2)


def _timm_tower(name: str, **options: Any) -> nn.Module:
    return open_clip.timm_model.TimmModel(name, embed_dim=8, **options)


def _bert() -> nn.Module:
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    return open_clip.hf_model.HFTextEncoder("", 8, config=config, pooler_type="mean_pooler", proj_type="linear")


def _t5() -> nn.Module:
    return T5EncoderModel(T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2))


def _attention_pooled_transformer() -> nn.Module:
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
    (_custom_transformer, (1, 5, 32), "attention dropout in 2 layers"),
    (_attention_pooled_transformer, (1, 3, 32, 32), "attention dropout in 3 layers"),
    (lambda: _timm_tower("vit_tiny_patch16_224"), (1, 3, 224, 224), "attention dropout in 12 layers"),
    (lambda: _timm_tower("tf_efficientnet_lite0", drop=0.5), (1, 3, 64, 64), "head dropout"),
    (_bert, None, "attention dropout in 2 layers"),
    (_t5, None, "attention dropout in 2 layers"),
]


@pytest.mark.parametrize(("build_tower", "item_shape", "description"), TOWERS)
def test_dropout_of_every_kind_of_tower_is_enabled_and_disabled(
    build_tower: Any, item_shape: tuple[int, ...] | None, description: str
) -> None:
    torch.manual_seed(0)
    tower = build_tower().eval()
    item = torch.arange(1, 6)[None] if item_shape is None else torch.randn(item_shape)
    model = _TwoTowerModel(tower, nn.Identity())
    with torch.inference_mode():
        deterministic = _output(tower, item)
        with attention_dropout(model, 0.5) as descriptions:
            assert descriptions == {"image": description, "text": "none"}
            first, second = _output(tower, item), _output(tower, item)
            modules = [module for module in tower.modules() if isinstance(module, nn.Dropout) and module.training]
        after = _output(tower, item)
    assert not torch.equal(first, second)
    assert not torch.equal(first, deterministic)
    assert torch.equal(deterministic, after)
    layers = 1 if description == "head dropout" else int(description.split()[3])
    assert len(modules) in (0, layers)  # some kinds of attention store their rate without a module


@pytest.mark.parametrize(("build_tower", "item_shape", "description"), TOWERS)
def test_every_kind_of_tower_uses_the_seeded_masks(
    build_tower: Any, item_shape: tuple[int, ...] | None, description: str
) -> None:
    """Each layer draws its mask from the seeded stream, and a part of the batch uses its rows of the mask."""
    torch.manual_seed(0)
    tower = build_tower().eval()
    items = torch.randint(1, 50, (4, 5)) if item_shape is None else torch.randn(4, *item_shape[1:])
    before = torch.get_rng_state()
    with torch.inference_mode(), attention_dropout(_TwoTowerModel(tower, nn.Identity()), 0.5):
        with DropoutMasks(7, 4, np.arange(4)) as masks:
            full_batch = _output(tower, items)
        with DropoutMasks(7, 4, np.arange(1, 3)):
            part = _output(tower, items[1:3])
        with DropoutMasks(8, 4, np.arange(4)):
            other_seed = _output(tower, items)
    assert masks.n_drawn == (1 if description == "head dropout" else int(description.split()[3]))
    assert torch.equal(before, torch.get_rng_state())
    torch.testing.assert_close(part, full_batch[1:3], atol=1e-4, rtol=1e-4)
    assert (other_seed - full_batch).abs().max() > 100 * (part - full_batch[1:3]).abs().max()


def _output(tower: nn.Module, item: torch.Tensor) -> torch.Tensor:
    output = tower(item)
    return output if isinstance(output, torch.Tensor) else output.last_hidden_state


def test_trunk_before_head_dropout_runs_once_per_batch() -> None:
    tower = _timm_tower("tf_efficientnet_lite0", drop=0.5).eval()
    runs: list[int] = []
    tower.trunk.conv_stem.register_forward_hook(lambda *_: runs.append(1))
    first, second = torch.randn(2, 1, 3, 64, 64)
    with torch.inference_mode():
        with attention_dropout(_TwoTowerModel(tower, nn.Identity()), 0.5):
            torch.manual_seed(0)
            samples = [tower(batch) for batch in (first, first, first, second)]
        assert len(runs) == 2
        torch.manual_seed(0)
        expected = [
            tower.head[1](functional.dropout(tower.trunk(batch), 0.5)) for batch in (first, first, first, second)
        ]
    assert len(runs) == 6
    torch.testing.assert_close(torch.stack(samples), torch.stack(expected))
    assert not torch.equal(samples[0], samples[1])


def test_patches_are_embedded_once_per_batch(encoder: Encoder) -> None:
    runs: list[int] = []
    model = encoder.model
    original = model.visual.conv1._conv_forward
    model.visual.conv1._conv_forward = lambda *args: runs.append(1) or original(*args)
    first, second = torch.randn(2, 2, 3, 48, 48)
    with torch.inference_mode(), attention_dropout(model, 0.3):
        torch.manual_seed(0)
        samples = [model.encode_image(batch) for batch in (first, first, second)]
    assert len(runs) == 2
    with torch.inference_mode(), attention_dropout(model, 0.3):
        torch.manual_seed(0)
        for batch, sample in zip((first, first, second), samples, strict=True):
            assert torch.equal(model.encode_image(batch.clone()), sample)
    assert len(runs) == 5


def test_model_without_dropout_layers_is_rejected() -> None:
    with (
        pytest.raises(OvertopError, match="neither tower"),
        attention_dropout(_TwoTowerModel(nn.Linear(2, 2), nn.Identity()), 0.2),
    ):
        pass
