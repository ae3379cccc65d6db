"""Embeddings of an image's patches in the joint space of image and text, computed together with the image's own."""

from typing import Any

import torch

from overtop.encoders.compat import open_clip
from overtop.errors import OvertopError


def encode_image_and_patches(tower: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The embedding of each image and of each of its patches, in one forward pass.

    For a vision transformer of open_clip a patch is a token other than the class token, after the last norm and the
    projection. For a convolutional tower of timm it is a position of the last feature map, after the head.

    Args:
        tower: image tower of an open_clip model (`model.visual`).
        pixels: (B, 3, H, W), normalised.

    Returns:
        Embeddings of the images (B, D), equal to `tower(pixels)`, and of the patches (B, D, h, w), row by row. Both are
        un-normalised.

    Raises:
        OvertopError: the tower has no patch embeddings in the joint space.

    >>> model = open_clip.create_model("ViT-S-32")
    >>> images, patches = encode_image_and_patches(model.visual, torch.zeros(1, 3, 224, 224))
    >>> images.shape, patches.shape
    (torch.Size([1, 384]), torch.Size([1, 384, 7, 7]))
    """
    if isinstance(tower, open_clip.transformer.VisionTransformer):
        return _encode_by_transformer(tower, pixels)
    if isinstance(tower, open_clip.timm_model.TimmModel):
        return _encode_by_convolutions(tower, pixels)
    raise _unsupported(type(tower).__name__)


def _encode_by_transformer(tower: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if tower.attn_pool is not None or tower.pool_type == "none":
        raise _unsupported("a vision transformer that pools by attention, or not at all")
    if tower.training and not isinstance(tower.patch_dropout, torch.nn.Identity):
        raise _unsupported("a vision transformer that drops patches in training")
    output = tower.forward_intermediates(pixels, indices=1, normalize_intermediates=True)
    [tokens] = output["image_intermediates"]
    return output["image_features"], torch.einsum("bchw,cd->bdhw", tokens, tower.proj)


def _encode_by_convolutions(tower: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    features = tower.trunk.forward_features(pixels)
    if (
        features.ndim != 4
        or features.shape[1] != tower.trunk.num_features
        or "pool" in dict(tower.head.named_children())
    ):
        raise _unsupported(f"timm's {type(tower.trunk).__name__} with these features or this pooling")
    images = tower.head(tower.trunk.forward_head(features))
    # The pool of a single position is that position, so any head applies to patches as it does to images.
    positions = features.permute(0, 2, 3, 1).flatten(0, 2)[:, :, None, None]
    patches = tower.head(tower.trunk.forward_head(positions))
    return images, patches.unflatten(0, (len(pixels), *features.shape[2:])).permute(0, 3, 1, 2)


def _unsupported(tower: str) -> OvertopError:
    return OvertopError(
        f"patch embeddings are not defined for this image tower ({tower}); objective 'tga' needs a vision transformer "
        "with a class token or average pooling, or a convolutional tower of timm; choose another objective"
    )
