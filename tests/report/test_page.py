"""The page of a report without a browser: colours, styles of estimators, and the parts of the template."""

import base64
import hashlib
import html
import re
from dataclasses import replace

import pytest

from overtop.figures.method_styles import ESTIMATOR_STYLES
from overtop.report.document import Column
from overtop.report.page import FOLDER, estimator_styles, interval_bar, interval_ranges, render_page
from report.example import NASTY, example_document

MIN_TEXT_CONTRAST = 4.5  # WCAG 2.2, 1.4.3
MIN_LINE_CONTRAST = 3.0  # 1.4.11
HUES = ("black", "blue", "orange", "green", "red", "purple", "brown", "sky")
TEXTS = {
    "page": ("text", "quiet", "accent", *HUES),  # labels of curves have the colour of the curve
    "card": ("text", "quiet", "accent", "good", "bad"),
    "tint": ("text", "quiet", "good"),
    "warn": ("text",),
}


def palettes():
    """The colours of the style sheet by name: light, and dark where it differs."""
    blocks = re.findall(r":root \{(.*?)\}", (FOLDER / "style.css").read_text(), re.S)
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{3,6});", block)) for block in blocks[:2])
    return {"light": light, "dark": light | dark}


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels]
    return sum(weight * channel for weight, channel in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first, second):
    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_contrast_of_black_and_white_is_the_largest():
    assert contrast("#000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_are_legible_on_their_grounds(scheme):
    palette = palettes()[scheme]
    for ground, names in TEXTS.items():
        low = {name: round(contrast(palette[name], palette[ground]), 2) for name in names}
        assert {name: value for name, value in low.items() if value < MIN_TEXT_CONTRAST} == {}, ground


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_edges_of_controls_are_visible(scheme):
    palette = palettes()[scheme]
    assert contrast(palette["control"], palette["card"]) >= MIN_LINE_CONTRAST
    assert contrast(palette["warn-line"], palette["page"]) >= MIN_LINE_CONTRAST
    assert set(palettes()["light"]) == set(palette)


def test_every_estimator_has_a_colour_of_the_style_sheet_and_a_marker_of_the_script():
    sheet, script = ((FOLDER / name).read_text() for name in ("style.css", "script.js"))
    panel = example_document().panels[0]
    names = [*ESTIMATOR_STYLES, "of_a_plug_in"]
    styles = estimator_styles([replace(panel, methods=[replace(panel.methods[0], estimator=name) for name in names])])
    assert list(styles) == names
    for colour, marker in styles.values():
        assert f".c-{colour} " in sheet
        assert f'"{marker}"' in script or f" {marker}: [" in script


def test_bars_of_intervals_are_in_percent_of_the_range_of_their_column():
    table = example_document().tables[0]
    columns = [Column("a", "A", "", "interval"), Column("b", "B", "", "interval"), Column("c", "C", "", "text")]
    undefined = (None, None, None)
    cells = [(0.5, 0.25, 1.0), undefined, (0.0, 0.0, 0.0)]
    ranges = interval_ranges(replace(table, columns=columns, rows={"a": cells, "b": [undefined] * 3, "c": [""] * 3}))
    assert ranges == {"a": (0.0, 1.0)}
    assert interval_bar(cells[0], *ranges["a"]) == {"value": 50.0, "low": 25.0, "high": 100.0}
    assert interval_bar((1.0, 1.0, 1.0), 1.0, 1.0) == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_texts_are_escaped():
    page = render_page(replace(example_document(), title=NASTY))
    assert "<b>" not in page
    assert page.count("</script>") == 3


def test_policy_has_the_digests_of_the_style_sheet_and_the_script():
    page = render_page(example_document())
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    for element in ("style", 'script type="module"'):
        content = re.search(rf"<{element}>(.*?)</{element.split()[0]}>", page, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{element.split()[0]}-src 'sha256-{digest}'" in policy


def test_same_document_gives_the_same_page():
    assert render_page(example_document()) == render_page(example_document())
