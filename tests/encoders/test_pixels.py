import pytest
import torch
from PIL import Image

from overtop.encoders.decoding import read_image
from overtop.encoders.pixels import split_preprocessing
from overtop.errors import OvertopError


def test_normalised_pixels_equal_the_preprocessing_of_the_encoder(encoder, images):
    pixels, normalise = split_preprocessing(encoder)
    for path in images:
        decoded = read_image(path, pixels)
        assert decoded.min() >= 0
        assert decoded.max() <= 1
        torch.testing.assert_close(normalise(decoded[None])[0], read_image(path, encoder.preprocess))


def test_gradients_reach_the_pixels(encoder):
    _, normalise = split_preprocessing(encoder)
    pixels = torch.rand(2, 3, 48, 48, requires_grad=True)
    normalise(pixels).sum().backward()
    torch.testing.assert_close(pixels.grad, (1 / normalise.std).expand_as(pixels))


def test_resize_is_the_size_before_the_centre_crop(encoder):
    image = Image.new("RGB", (96, 96), (255, 0, 0))
    image.paste((0, 0, 255), (24, 24, 72, 72))
    as_encoder, larger = (split_preprocessing(encoder, resize)[0](image) for resize in (None, 96))
    assert as_encoder.shape == larger.shape == (3, 48, 48)
    assert as_encoder[:, 0, 0].tolist() == [1, 0, 0]
    assert larger[:, 0, 0].tolist() == [0, 0, 1]


def test_resize_below_the_crop_is_rejected(encoder):
    with pytest.raises(OvertopError, match="`resize` is 32, smaller than the crop of 48"):
        split_preprocessing(encoder, 32)
