"""Text-guided attention: where in an image the patches are similar to the prompt of a class (TGA-ZSR)."""

import torch
from torch.nn import functional


def attention_map(patches: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
    """A = (m - min m) / (max m - min m) with m the cosine of each patch with the image's text; 0 where m is constant.

    Args:
        patches: (B, D, h, w) patch embeddings in the joint space, un-normalised.
        texts: (B, D) unit embedding of the prompt of each image's class.

    Returns:
        (B, h, w), in [0, 1].
    """
    cosines = torch.einsum("bdhw,bd->bhw", functional.normalize(patches, dim=1), texts)
    low, high = cosines.amin(dim=(1, 2), keepdim=True), cosines.amax(dim=(1, 2), keepdim=True)
    spread = high - low
    return (cosines - low) / torch.where(spread > 0, spread, 1.0)


def map_distance(first: torch.Tensor, second: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """||U(A) - U(B)||_2 of each image, U the bilinear interpolation to the size of the image.

    U is linear, so the difference is interpolated once. The norm is over pixels: it grows with the side of the image.

    Args:
        first: (B, h, w) attention maps.
        second: (B, h, w) attention maps.
        size: height and width of the image in pixels.

    Returns:
        (B,); its gradient is 0 where the maps are equal.
    """
    difference = functional.interpolate((first - second)[:, None], size=size, mode="bilinear", align_corners=False)
    return torch.linalg.vector_norm(difference, dim=(1, 2, 3))
