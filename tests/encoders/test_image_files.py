from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from overtop.encoders import image_files
from overtop.encoders.decoding import read_image
from overtop.encoders.image_files import decode_image
from overtop.errors import OvertopError

GREYS = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_greys_of_16_bits_keep_their_shades(tmp_path, kind):
    image = decode_image(save(tmp_path / "a.png", GREYS, format=kind)).convert("RGB")
    np.testing.assert_array_equal(np.asarray(image)[..., 0], np.round(GREYS / 257))


def test_floats_without_a_range_are_named(tmp_path):
    path = save(tmp_path / "a.tiff", np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8))
    with pytest.raises(OvertopError, match=r"a\.tiff: cannot be read \(its values are of mode F"):
        decode_image(path)


def test_format_that_is_no_photograph_is_not_decoded(tmp_path):
    """Pillow would start Ghostscript."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", format="EPS")
    with pytest.raises(OvertopError, match=r"a\.jpg: cannot be read \(cannot identify"):
        decode_image(tmp_path / "a.jpg")


MODES = {
    "JPEG": ["1", "L", "RGB", "CMYK"],
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA"],
    "WEBP": ["L", "P", "RGB", "RGBA"],
    "BMP": ["1", "L", "P", "RGB", "RGBA"],
    "GIF": ["1", "L", "P", "RGB", "RGBA"],
    "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"],
}


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes])
def test_other_modes_are_those_of_pillow(tmp_path, kind, mode):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)).convert(mode)
    picture.save(tmp_path / "a", format=kind)
    with Image.open(tmp_path / "a") as expected:
        assert decode_image(tmp_path / "a").convert("RGB").tobytes() == expected.convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("bound", "value", "message"),
    [("MAX_IMAGE_PIXELS", 63, "8 x 8 pixels"), ("MAX_ASPECT_RATIO", 0, "one side"), ("MAX_IMAGE_BYTES", 9, "9 bytes")],
)
def test_image_beyond_a_bound_is_named(tmp_path, monkeypatch, bound, value, message):
    path = save(tmp_path / "a.png", GREYS)
    monkeypatch.setattr(image_files, bound, value)
    with pytest.raises(OvertopError, match=rf"a\.png: cannot be read \(it has .*{message}"):
        decode_image(path)


def test_orientation_of_exif_data_is_ignored_as_in_clip(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "a.png", GREYS[:2].astype(np.uint8), exif=exif)
    assert decode_image(path).size == (8, 2)


def test_mistake_of_the_preprocessing_is_not_blamed_on_the_image(tmp_path):
    def preprocess(_: Image.Image) -> torch.Tensor:
        raise ValueError("bad size")

    with pytest.raises(ValueError, match="bad size"):
        read_image(save(tmp_path / "a.png", GREYS), preprocess)
