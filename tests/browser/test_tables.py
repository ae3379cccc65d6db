"""The tables of a report: numbers, sorting, filtering."""

from browser.reading import downloaded, table_rows


def test_cells_are_those_of_the_document(open_report, example):
    rows = table_rows(open_report(example), "#rows-example")
    table = example.tables[0]
    for i, row in enumerate(rows):
        cells = dict(zip([column.key for column in table.columns], row, strict=True))
        value, low, high = table.rows["aurc"][i]
        assert cells["aurc"].split() == [f"{value:.3f}", f"[{low:.3f},", f"{high:.3f}]"]
        paper = table.rows["paper_neg_sr2"][i]
        assert cells["paper_neg_sr2"] == ("–" if paper is None else f"{paper:.2f}")
        assert cells["n_queries"] == str(table.rows["n_queries"][i])
        assert cells["starred"].startswith("★") is table.rows["starred"][i]


def test_heading_sorts_by_keyboard_with_the_better_numbers_first_and_undefined_last(open_report, example):
    page = open_report(example)
    column = [column.key for column in example.tables[0].columns].index("neg_sr2")
    button = page.locator("#rows-example th button").nth(column)

    def values():
        return [row[column].split()[0] for row in table_rows(page, "#rows-example")]

    button.press("Enter")
    assert values() == ["0.90", "0.50", "0.10", "0.00", "-0.20", "–"]
    heading = page.locator("#rows-example th").nth(column)
    assert heading.get_attribute("aria-sort") == "descending"
    button.press("Space")
    assert values() == ["-0.20", "0.00", "0.10", "0.50", "0.90", "–"]
    assert page.locator("#rows-example th[aria-sort]").count() == 1


def test_text_column_sorts_by_the_alphabet(open_report, example):
    page = open_report(example)
    page.locator("#rows-example th button").nth(1).click()
    estimators = [row[1] for row in table_rows(page, "#rows-example")]
    assert estimators == sorted(estimators)
    assert estimators != example.tables[0].rows["estimator"]


def test_rows_are_filtered_by_a_text_across_cells(open_report, example):
    page = open_report(example)
    field = page.locator("[data-rows=example]")
    field.fill("text to  IMAGE")
    assert [row[0] for row in table_rows(page, "#rows-example")] == ["Shapes, text to image"] * 3
    assert page.locator("#table-example .count").inner_text() == "3 of 6 rows"
    field.fill("text to image margin")
    assert [row[1] for row in table_rows(page, "#rows-example")] == ["Margin"]
    field.fill("")
    assert len(table_rows(page, "#rows-example")) == 6


def test_columns_are_explained_without_a_pointer(open_report, example):
    page = open_report(example)
    page.locator("#table-example .meanings summary").press("Enter")
    meanings = page.locator("#table-example .meanings dd").all_inner_texts()
    for column, meaning in zip(example.tables[0].columns, meanings, strict=True):
        assert meaning.startswith(column.meaning)


def test_file_is_downloaded_as_it_is_in_the_document(open_report, example):
    page = open_report(example)
    assert downloaded(page, "[data-download='0']") == example.downloads[0].text
    assert page.get_by_text(example.downloads[1].path).is_visible()
