import base64
import io

import pytest
from PIL import Image

from overtop.errors import OvertopError
from overtop.report.document import NO_THUMBNAIL
from overtop.report.thumbnails import SIDE, Thumbnails, encode_thumbnail


def decode(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/webp;base64,"))))


@pytest.mark.parametrize(("size", "expected"), [((640, 480), (64, 48)), ((30, 200), (10, 64)), ((20, 20), (20, 20))])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_thumbnail_is_a_small_webp_of_the_same_shape(tmp_path, size, expected, mode):
    Image.new(mode, size).save(tmp_path / "a.png")
    image = decode(encode_thumbnail(tmp_path / "a.png"))
    assert (image.format, image.size, max(expected) <= SIDE) == ("WEBP", expected, True)


def test_damaged_image_is_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(OvertopError, match=r"a\.jpg"):
        Thumbnails(tmp_path, 1).add(["a.jpg"], list)


def test_images_are_read_and_verified_once_and_stored_once(tmp_path):
    for name, colour in (("a.png", "red"), ("b.png", "blue"), ("copy of a.png", "red")):
        Image.new("RGB", (10, 10), colour).save(tmp_path / name)
    asked, encoded = [], {}
    first = Thumbnails(tmp_path, 2, encoded)
    assert first.add(["b.png", "", "a.png"], asked.extend) == {"": NO_THUMBNAIL, "b.png": 0, "a.png": 1}
    assert first.add(["copy of a.png", "a.png"], asked.extend) == {"": NO_THUMBNAIL, "copy of a.png": 1, "a.png": 1}
    assert len(first.uris) == 2
    second = Thumbnails(tmp_path, 1, encoded)
    assert second.add(["a.png"], asked.extend)["a.png"] == 0
    assert second.uris == [first.uris[1]]
    assert asked == ["b.png", "a.png", "copy of a.png"]
