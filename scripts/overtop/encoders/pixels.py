"""Images as pixels in [0, 1] at the resolution that an encoder sees, and their normalisation within the graph.

An attack changes pixels, so gradients must reach them: the preprocessing of an encoder is split into what makes pixels
of an image file (resize, crop, conversion), and the normalisation by mean and standard deviation that follows.
"""

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import nn

from overtop.encoders.compat import open_clip
from overtop.encoders.loading import Encoder
from overtop.errors import OvertopError

CenterCrop, Compose, Resize = (getattr(open_clip.transform, name) for name in ("CenterCrop", "Compose", "Resize"))
"""torchvision's; `compat` makes torchvision importable everywhere."""


class Normalise(nn.Module):
    """Subtract a mean and divide by a standard deviation, per channel.

    Args:
        mean: three numbers, of pixels in [0, 1].
        std: three numbers.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: Any, std: Any) -> None:
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).reshape(3, 1, 1))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32).reshape(3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """The normalised images (B, 3, H, W) of pixels in [0, 1]."""
        return (pixels - self.mean) / self.std


def split_preprocessing(
    encoder: Encoder, resize: int | None = None
) -> tuple[Callable[[Image.Image], torch.Tensor], Normalise]:
    """Split the preprocessing of an encoder into pixels and normalisation.

    Args:
        encoder: a loaded encoder; `encoder.preprocess` equals the normalisation of the pixels.
        resize: shorter side before the centre crop, in pixels; by default as in the encoder's preprocessing.

    Returns:
        A transform from a PIL image to float32 pixels (3, H, W) in [0, 1], and the normalisation, on the encoder's
        device.

    Raises:
        OvertopError: the preprocessing does not end with a normalisation, or `resize` is smaller than the crop.
    """
    transforms = list(encoder.preprocess.transforms)  # type: ignore[attr-defined]
    last = transforms[-1]
    if not (hasattr(last, "mean") and hasattr(last, "std")):
        raise OvertopError(f"encoder {encoder.name!r}: its preprocessing does not end with a normalisation")
    if resize is not None:
        transforms[0] = _another_resize(encoder.name, transforms, resize)
    return Compose(transforms[:-1]), Normalise(last.mean, last.std).to(encoder.device)


def _another_resize(name: str, transforms: list[Any], resize: int) -> Any:
    """The first transform with another size of the shorter side; a centre crop must follow it."""
    if not isinstance(transforms[0], Resize) or not isinstance(transforms[1], CenterCrop):
        raise OvertopError(f"encoder {name!r}: `resize` needs a preprocessing with resize and centre crop; remove it")
    crop = max(transforms[1].size)
    if resize < crop:
        raise OvertopError(f"encoder {name!r}: `resize` is {resize}, smaller than the crop of {crop}; increase it")
    return Resize(resize, interpolation=transforms[0].interpolation)
