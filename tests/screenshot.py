"""Take the picture of README: the top of a report's page, `python tests/screenshot.py REPORT.html PICTURE.png`."""

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

from helpers import chromium

WIDTH, HEIGHT, SCALE = 1280, 1730, 1.5
COLOURS = 128
"""A page has few; fewer in the file make it a third as large."""


def take_screenshot(report: Path, picture: Path) -> None:
    """Write the picture."""
    reason = chromium.install()
    if reason:
        sys.exit(reason)
    with chromium.running_browser() as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=SCALE)
        page.goto(report.resolve().as_uri())
        content = page.screenshot()
    image = Image.open(BytesIO(content)).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    take_screenshot(*map(Path, sys.argv[1:]))
