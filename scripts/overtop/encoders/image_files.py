"""Image files that others made, decoded: in the formats of photographs, of bounded size, with 8 bits per channel.

The orientation that EXIF data state is ignored, as in CLIP's own code: published results depend on it.
"""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from overtop.storage.bounds import MAX_ASPECT_RATIO, MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS
from overtop.storage.foreign import report_damage

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""Formats that are decoded, whatever the suffix says. Pillow knows many more, and starts Ghostscript for EPS."""

_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
"""Modes of Pillow that it converts to RGB as they look."""


def decode_image(path: str | Path) -> Image.Image:
    """The picture in an image file, in a mode that converts to RGB as it looks.

    Raises:
        OvertopError: the file is missing, damaged, truncated, of another format or too large, or its values have no
            stated range.
    """
    fix = (
        "repair or remove it, in the source of its data set if this is the copy in the data folder, or skip such "
        "images: on_error: skip of its data set, or --on-error skip of the command"
    )
    with report_damage(f"image {path}", fix, also=Image.DecompressionBombError), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the bound is checked here
        if Path(path).stat().st_size > MAX_IMAGE_BYTES:
            raise ValueError(f"it has more than {MAX_IMAGE_BYTES:,} bytes")
        with Image.open(path, formats=FORMATS) as image:
            _check_size(*image.size)
            image.load()
            return _with_eight_bits(image)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_IMAGE_PIXELS:
        raise ValueError(f"it has {width} x {height} pixels, more than {MAX_IMAGE_PIXELS:,}")
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise ValueError(f"it has {width} x {height} pixels; one side may be {MAX_ASPECT_RATIO} times the other")


def _with_eight_bits(image: Image.Image) -> Image.Image:
    """The image itself, or one of 16-bit greys with 8 bits, which Pillow would clip to white."""
    if image.mode.startswith("I;16"):
        return Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))
    if image.mode not in _MODES:
        raise ValueError(f"its values are of mode {image.mode}, without a stated range; convert it to 8 bits")
    return image
