"""Embeddings of patches: pooled as the tower itself does, and equal to the head applied to each patch."""

from typing import Any

import pytest
import torch

from overtop.encoders.compat import open_clip
from overtop.encoders.loading import Encoder
from overtop.encoders.patch_embeddings import encode_image_and_patches
from overtop.errors import OvertopError

PIXELS = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def transformer(**options: Any) -> Any:
    """A small vision transformer of open_clip, with weights large enough that patches affect each other."""
    torch.manual_seed(0)
    sizes = {"image_size": (64, 64), "patch_size": 32, "width": 32, "layers": 2, "heads": 2, "mlp_ratio": 2.0}
    tower = open_clip.transformer.VisionTransformer(**sizes, output_dim=16, **options).eval()
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return tower


def timm_tower(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return open_clip.timm_model.TimmModel(
        name, 16, image_size=64, **{"pool": "avg", "proj": "linear", **options}
    ).eval()


def test_pooled_embedding_of_an_encoder_equals_encode_image(encoder: Encoder) -> None:
    pixels = torch.randn(3, 3, 48, 48)
    with torch.inference_mode():
        images, patches = encode_image_and_patches(encoder.model.visual, pixels)
        torch.testing.assert_close(images, encoder.model.encode_image(pixels))
    assert patches.shape == (3, 64, 3, 3)


@pytest.mark.parametrize("options", [{}, {"pool_type": "avg"}, {"final_ln_after_pool": True}, {"no_ln_pre": True}])
def test_patches_of_a_transformer_are_its_projected_tokens(options: dict[str, Any]) -> None:
    tower = transformer(**options)
    tokens: list[torch.Tensor] = []
    tower.transformer.register_forward_hook(lambda module, inputs, output: tokens.append(output))
    with torch.no_grad():
        expected = tower(PIXELS)
        images, patches = encode_image_and_patches(tower, PIXELS)
        projected = tower.ln_post(tokens[0][:, 1:]) @ tower.proj
    torch.testing.assert_close(images, expected)
    assert patches.shape == (2, 16, 2, 2)
    for image in range(2):
        for row in range(2):
            for column in range(2):
                torch.testing.assert_close(patches[image, :, row, column], projected[image, 2 * row + column])
    if options == {"pool_type": "avg"}:
        torch.testing.assert_close(patches.mean(dim=(2, 3)), images)


@pytest.mark.parametrize(
    ("name", "options", "is_linear"),
    [
        ("tf_efficientnet_lite0", {"drop": 0.5}, True),
        ("resnet10t", {"proj": None}, True),
        ("convnext_atto", {}, False),  # a norm follows the pool
        ("resnet10t", {"proj": "mlp"}, False),
    ],
)
def test_patches_of_a_convolutional_tower_are_its_head_at_each_position(
    name: str, options: dict[str, Any], is_linear: bool
) -> None:
    tower = timm_tower(name, **options)
    pixels = PIXELS.to(memory_format=torch.channels_last)
    with torch.no_grad():
        images, patches = encode_image_and_patches(tower, pixels)
        torch.testing.assert_close(images, tower(pixels))
        features = tower.trunk.forward_features(pixels)
        position = tower.head(tower.trunk.forward_head(features[:, :, 1:2, 0:1]))
    assert patches.shape == (2, 16, 2, 2)
    torch.testing.assert_close(patches[:, :, 1, 0], position)
    if is_linear:
        torch.testing.assert_close(patches.mean(dim=(2, 3)), images)


def test_gradients_of_patches_reach_pixels_and_weights() -> None:
    tower, pixels = transformer(), PIXELS.clone().requires_grad_()
    encode_image_and_patches(tower, pixels)[1].square().sum().backward()
    assert pixels.grad is not None
    assert (pixels.grad.abs().amax(dim=(1, 2, 3)) > 0).all()
    assert tower.proj.grad.abs().max() > 0


def test_towers_without_patch_embeddings_are_rejected() -> None:
    resnet = open_clip.modified_resnet.ModifiedResNet((1, 1, 1, 1), 16, heads=4, image_size=64, width=8)
    attention = transformer(attentional_pool=True, attn_pooler_heads=2)
    dropping = transformer(patch_dropout=0.5).train()
    tokens = timm_tower("vit_tiny_patch16_224", pool="token")
    rotary = timm_tower("resnet10t", pool="rot_attn", proj="linear")
    for tower, reason in (
        (resnet, "ModifiedResNet"),
        (attention, "pools by attention"),
        (dropping, "drops patches"),
        (tokens, "VisionTransformer"),
        (rotary, "ResNet"),
    ):
        pixels = torch.randn(1, 3, 224, 224) if tower is tokens else PIXELS
        with pytest.raises(OvertopError, match=rf"{reason}.* choose another objective"):
            encode_image_and_patches(tower, pixels)
    dropping.eval()
    torch.testing.assert_close(encode_image_and_patches(dropping, PIXELS)[0], dropping(PIXELS))
