"""The curves: what is drawn, the operating point, and the numbers beside them."""

import csv
import io
from dataclasses import replace

import pytest

from browser.reading import downloaded, table_rows
from overtop.report.document import Calibration
from report.example import panel

NUMBERS_PRESSES = {0: 0.5, 3: 0.65, 8: 0.9}
"""Presses of an arrow key, and the coverage that they lead to in steps of 0.05."""


def shown_methods(page):
    return [row[0].split(maxsplit=1)[1] for row in table_rows(page, "#rejection-table")]


@pytest.mark.parametrize("presses", NUMBERS_PRESSES)
def test_slider_moved_by_keyboard_shows_numbers_of_the_curve(open_report, example, presses):
    page = open_report(example)
    page.locator("#rejection-slider").focus()
    for _ in range(presses):
        page.keyboard.press("ArrowUp")
    coverage = NUMBERS_PRESSES[presses]
    panel = example.panels[0]
    k = panel.coverage.index(coverage)
    assert page.locator("#rejection-output").inner_text() == f"{100 * coverage:g} %"
    assert page.locator("#rejection-slider").get_attribute("aria-valuetext") == f"{100 * coverage:g} %"
    rows = table_rows(page, "#rejection-table")
    for row, method in zip(rows, panel.methods[:2], strict=True):
        answered = panel.posteriors[0].answered[k]
        precision = 1 - method.errors[k] / answered
        numbers = [coverage, answered, precision, method.low[k], method.high[k], method.errors[k]]
        read = [float(cell.removesuffix(" %").replace(",", "")) for cell in row[1:]]
        read[0] /= 100
        assert read == pytest.approx(numbers, abs=0.0006)


def test_level_moved_by_keyboard_shows_numbers_of_the_level(open_report, example):
    page = open_report(example)
    page.locator("#calibration-slider").press("ArrowRight")
    assert page.locator("#calibration-output").inner_text() == "level 2 of 3"
    assert table_rows(page, "#calibration-table") == [
        ["A Max softmax", "2", "300", "0.600"],
        ["B Top-1 similarity", "2", "300", "0.600"],
    ]


def test_defaults_are_drawn_first_and_after_a_reset(open_report, example):
    page = open_report(example)
    assert shown_methods(page) == ["Max softmax", "Top-1 similarity"]
    page.locator("details:has(#estimators) summary").click()
    page.locator("#estimators").get_by_label("Max softmax").uncheck()
    assert shown_methods(page) == ["Top-1 similarity"]
    page.get_by_role("button", name="Reset to the defaults").click()
    assert shown_methods(page) == ["Max softmax", "Top-1 similarity"]


def test_methods_of_two_posteriors_are_told_apart_by_name_and_dashes(open_report, example):
    page = open_report(example)
    for choice, name in (("posteriors", "MC dropout"), ("estimators", "Margin")):
        page.locator(f"details:has(#{choice}) > summary").press("Enter")
        page.locator(f"#{choice}").get_by_label(name).press("Space")
    assert shown_methods(page) == [
        "Max softmax, deterministic",
        "Top-1 similarity, deterministic",
        "Margin, MC dropout",
    ]
    assert page.locator("#rejection .curve.d1:not(.faint)").count() == 1


def test_nothing_chosen_is_said(open_report, example):
    page = open_report(example)
    page.locator("details:has(#posteriors) > summary").click()
    page.locator("#posteriors").get_by_label("deterministic").uncheck()
    assert "Nothing to draw" in page.locator("#setup").inner_text()
    assert table_rows(page, "#rejection-table") == []


def test_undefined_level_is_a_dash(open_report, example):
    address = "#panel=shapes/test/t2i&posteriors=shapes-dropout&estimators=margin&level=2"
    page = open_report(example, address=address)
    assert table_rows(page, "#calibration-table") == [["A Margin", "2", "0", "–"]]


def test_downloaded_curves_are_the_document(open_report, example):
    page = open_report(example)
    page.locator("#rejection-numbers").evaluate("table => { table.closest('details').open = true; }")
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "#rejection-csv"))))
    panel, method = example.panels[0], example.panels[0].methods[1]
    rows = [row for row in rows if row["estimator"] == method.estimator]
    assert [int(row["answered"]) for row in rows] == panel.posteriors[0].answered
    assert [float(row["errors"]) for row in rows] == method.errors
    assert [float(row["low"]) for row in rows] == method.low
    precision = [1 - errors / count for errors, count in zip(method.errors, panel.posteriors[0].answered, strict=True)]
    assert [float(row["precision"]) for row in rows] == pytest.approx(precision)


def test_table_of_a_chart_lists_numbers_of_the_curve(open_report, example):
    page = open_report(example)
    page.locator("#rejection-numbers").evaluate("table => { table.closest('details').open = true; }")
    rows = [row for row in table_rows(page, "#rejection-numbers") if row[0] == "Max softmax"]
    panel, method = example.panels[0], example.panels[0].methods[0]
    listed = {round(float(row[1].removesuffix(" %")) / 100, 4): row for row in rows}
    assert len(listed) == 10
    for coverage, row in listed.items():
        k = panel.coverage.index(coverage)
        assert row[4:6] == [f"{method.low[k]:.3f}", f"{method.high[k]:.3f}"]


def test_state_is_in_the_address_and_comes_back(open_report, example):
    page = open_report(example)
    page.locator("#panel").select_option("shapes/test/i2t")
    page.locator("#rejection-slider").press("ArrowUp")
    page.locator("#calibration-slider").press("End")
    page.locator("details:has(#estimators) > summary").click()
    page.locator("#estimators").get_by_label("Max softmax").uncheck()
    shown = [page.locator("#panel").input_value(), *table_rows(page, "#rejection-table")]
    address = page.evaluate("location.hash")
    again = open_report(example, address=address)
    assert [again.locator("#panel").input_value(), *table_rows(again, "#rejection-table")] == shown
    assert again.locator("#calibration-output").inner_text() == "level 3 of 3"


@pytest.mark.parametrize("address", ["#panel=unknown", "#panel=shapes/test/i2t&estimators=unknown&answer=x&level=-4"])
def test_address_with_unknown_names_shows_the_defaults(open_report, example, address):
    page = open_report(example, address=address)
    assert shown_methods(page) == ["Max softmax", "Top-1 similarity"]


def test_link_of_a_verdict_shows_its_panel(open_report, example):
    page = open_report(example)
    page.locator(".verdict a").nth(1).click()
    assert page.locator("#panel").input_value() == "shapes/test/i2t"
    assert page.locator("#curves").evaluate("section => Math.abs(section.getBoundingClientRect().top)") < 900


def test_pointer_previews_and_a_click_moves_the_slider(open_report, example):
    page = open_report(example)
    page.locator("#rejection").scroll_into_view_if_needed()
    box = page.locator("#rejection svg").bounding_box()
    before = table_rows(page, "#rejection-table")
    page.mouse.move(box["x"] + 80, box["y"] + 100)
    assert table_rows(page, "#rejection-table") != before
    page.mouse.move(0, 0)
    assert table_rows(page, "#rejection-table") == before
    page.mouse.click(box["x"] + 80, box["y"] + 100)
    page.mouse.move(0, 0)
    assert page.locator("#rejection-output").inner_text() != "50 %"


def test_labels_of_many_curves_do_not_cover_each_other(open_report, example):
    panel = example.panels[0]
    methods = [
        replace(panel.methods[0], id=f"shapes/{name}", estimator=name, label=f"Estimator {name}")
        for name in ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l")
    ]
    page = open_report(replace(example, panels=[replace(panel, methods=methods)], queries=[]))
    boxes = page.locator("#rejection .label").evaluate_all("labels => labels.map(label => label.getBBox().y)")
    boxes.sort()
    assert len(boxes) == 12
    assert min(b - a for a, b in zip(boxes, boxes[1:], strict=False)) >= 15


def test_curves_of_few_queries_are_drawn_at_their_values(open_report, example):
    few = panel("t2i", 10, 0.3)
    page = open_report(replace(example, panels=[few], queries=[]))
    ticks = [float(text) for text in page.locator("#rejection .tick.end").all_text_contents()]
    assert min(ticks) == 0.4  # below is the floor of the axis, R@1
    heights = page.locator("#rejection .marker").evaluate_all("all => all.map(one => one.getBBox().y)")
    assert max(heights) - min(heights) > 50


def test_level_of_few_queries_stays_in_the_chart(open_report, example):
    first = example.panels[0]
    bins = Calibration([0, 1, 2], [0.3, 0.2, 1.0], [600, 300, 5])
    methods = [replace(method, calibration=bins) for method in first.methods]
    page = open_report(replace(example, panels=[replace(first, methods=methods)], queries=[]))
    tops = page.locator("#calibration .marker").evaluate_all("all => all.map(one => one.getBBox().y)")
    assert min(tops) >= 0


def test_level_of_intervals_and_fractions_of_errors_are_explained(open_report, example):
    page = open_report(replace(example, interval_level=0.9))
    assert "In brackets: 90 % bootstrap intervals" in page.locator("#answer").inner_text()
    note = page.locator("figure .note").first.inner_text()
    assert "Bars: 90 % bootstrap intervals." in note
    assert "share their errors evenly" in note
