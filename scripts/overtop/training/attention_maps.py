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
    rows, columns = (_interpolation(first, axis, length) for axis, length in zip((1, 2), size, strict=True))
    return torch.linalg.vector_norm(rows @ (first - second) @ columns.T, dim=(1, 2))


def _interpolation(maps: torch.Tensor, axis: int, length: int) -> torch.Tensor:
    """The matrix (length, n) of linear interpolation of the n values along an axis.

    Two products with such matrices are bilinear interpolation; torch's own has no deterministic gradient on GPUs.
    """
    identity = torch.eye(maps.shape[axis], dtype=maps.dtype, device=maps.device)
    return functional.interpolate(identity[None], size=length, mode="linear", align_corners=False)[0].T
