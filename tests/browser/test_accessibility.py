"""Accessibility: axe-core, keyboard, widths, names of charts."""

import pytest

COLOUR_SCHEMES = ("light", "dark")
WIDTHS = (320, 768, 1280)

FOCUSABLE = "a[href], button, select, input, summary, [tabindex='0']"
NUMBER_FOCUSABLE = f"""() => {{
  const all = [...document.querySelectorAll("{FOCUSABLE}")].filter((element) => element.checkVisibility());
  all.forEach((element, i) => {{ element.dataset.number = i; }});
  return all.length;
}}"""


def open_everything(page):
    page.locator("details").evaluate_all("all => all.forEach(details => { details.open = true; })")


def violations(page, axe):
    """The violations that axe-core finds, one line each."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    return [f"{entry['impact']}: {entry['id']}: {entry['nodes'][0]['html'][:200]}" for entry in found]


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", COLOUR_SCHEMES)
def test_checker_finds_no_violation(open_report, example, axe, scheme, width):
    page = open_report(example, width=width, color_scheme=scheme)
    assert violations(page, axe) == []
    open_everything(page)
    assert violations(page, axe) == []


@pytest.mark.parametrize("scheme", COLOUR_SCHEMES)
def test_checker_finds_no_violation_with_controls_used(open_report, example, axe, scheme):
    page = open_report(example, color_scheme=scheme)
    page.locator("#query-hit").select_option("miss")
    page.locator("#query-panel").select_option("shapes/test/i2t")
    page.locator("[data-rows=example]").fill("margin")
    page.locator("#rows-example th button").nth(3).click()
    page.locator("#rejection-slider").press("ArrowUp")
    assert violations(page, axe) == []
    page.locator("#query-text").fill("zebra")
    assert violations(page, axe) == []


def test_checker_would_find_a_violation(open_report, example, axe):
    page = open_report(example)
    page.locator("#rejection-slider").evaluate("slider => slider.removeAttribute('aria-labelledby')")
    page.locator("label[for=rejection-slider]").evaluate("label => label.remove()")
    assert any("label" in line for line in violations(page, axe))


def test_every_control_is_reached_by_tab_and_the_last_is_left(open_report, example):
    page = open_report(example)
    count = page.evaluate(NUMBER_FOCUSABLE)
    reached = []
    for _ in range(count + 1):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.number ?? null"))
    assert count > 50
    assert [int(number) for number in reached if number is not None][:count] == list(range(count))


def test_focus_is_visible_on_every_kind_of_control(open_report, example):
    page = open_report(example)
    for selector in ("nav a", "#panel", "summary", "#rejection-slider", "th button", "[data-rows]", ".scroll"):
        page.locator(selector).first.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        width = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
        assert width >= 2, selector


def test_skip_link_leads_to_the_report(open_report, example):
    page = open_report(example)
    page.keyboard.press("Tab")
    link = page.locator(".skip")
    assert link.evaluate("link => link === document.activeElement")
    assert link.bounding_box()["width"] > 50
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("width", WIDTHS)
def test_page_does_not_scroll_sideways(open_report, example, width):
    page = open_report(example, width=width)
    open_everything(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.locator("#query-panel").select_option("shapes/test/i2t")
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_headings_descend_by_one(open_report, example):
    page = open_report(example)
    levels = page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(({ tagName }) => +tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(b - a for a, b in zip(levels, levels[1:], strict=False)) == 1


def test_charts_have_title_and_description_and_other_drawings_are_hidden(open_report, example):
    page = open_report(example)
    drawings = page.locator("svg").evaluate_all(
        """all => all.map(svg => svg.getAttribute("aria-hidden") === "true" ? "hidden"
            : [...svg.children].slice(0, 2).map(({ tagName, textContent }) => textContent && tagName).join())"""
    )
    assert drawings.count("title,desc") == 2
    assert set(drawings) == {"hidden", "title,desc"}
