"""The page of a real, tiny run: its numbers are those of the files it was made from."""

import csv
import io

import numpy as np
import pytest

from browser.reading import downloaded, table_rows
from overtop import labels
from overtop.storage.tables import read_table

SETUP = {"direction": "t2i", "protocol": "corrected", "binning": "equal_width", "positives": "labelled"}

pytestmark = pytest.mark.slow


@pytest.fixture
def page(open_report, tiny):
    return open_report(tiny.root / "results/reports/tiny.html")


def rows_of(table, **values):
    return table[(table[[*values]] == list(values.values())).all(axis=1)]


def test_table_of_the_page_has_the_numbers_of_the_csv(page, tiny):
    table = rows_of(read_table(tiny.root / "results/tables/tiny.csv"), **SETUP)
    posteriors = labels.posterior_labels(table)
    expected = {
        (labels.format_name(row.estimator), posteriors[row.posterior]): f"{row.aurc:.3f}" for row in table.itertuples()
    }
    name = page.locator("[data-rows]").first.get_attribute("data-rows")
    headings = page.locator(f"#rows-{name} thead th").all_inner_texts()
    estimator, posterior, aurc = (headings.index(heading) for heading in ("Estimator", "Posterior", "AURC"))
    page.locator("[data-rows]").first.fill("text to image")
    rows = table_rows(page, f"#rows-{name}")
    assert len(rows) > 20
    assert {(row[estimator], row[posterior]): row[aurc].split()[0] for row in rows} == expected


@pytest.mark.parametrize("coverage", [0.25, 0.5, 1.0])
def test_operating_point_counts_the_errors_of_the_scores(open_report, tiny, coverage):
    address = f"#panel=shapes/test/t2i&posteriors=tiny&estimators=max_softmax&answer={coverage}"
    page = open_report(tiny.root / "results/reports/tiny.html", address=address)
    scores = read_table(tiny.root / "results/scores/shapes/test/tiny.parquet")
    scores = rows_of(scores, direction="t2i", protocol="corrected", estimator="max_softmax")
    uncertainty, miss = scores["uncertainty"].to_numpy(), ~scores["hit"].to_numpy(dtype=bool)
    [[_, _, answered, precision, _, _, errors]] = table_rows(page, "#rejection-table")
    count = int(answered)
    assert count == pytest.approx(coverage * len(scores), abs=1)
    last = np.sort(uncertainty)[count - 1]
    tied = count - np.sum(uncertainty < last)  # of those with equal uncertainty, as many as are needed
    expected = miss[uncertainty < last].sum() + tied * miss[uncertainty == last].mean()
    assert float(errors) == pytest.approx(expected, abs=0.06)
    assert float(precision) == pytest.approx(1 - expected / count, abs=0.0006)


def test_downloaded_table_is_the_file(page, tiny):
    text = downloaded(page, "button[data-download]:has-text('tiny.csv')")
    assert text == (tiny.root / "results/tables/tiny.csv").read_text()
    assert len(list(csv.DictReader(io.StringIO(text)))) > 100


def test_page_shows_the_sampled_queries_with_pictures(page):
    assert page.locator("#query-status").inner_text().startswith("20 of 20 queries")
    assert page.locator(".card").count() == 20
    widths = page.locator(".card img").evaluate_all("images => images.map(image => image.naturalWidth)")
    assert len(widths) >= 100
    assert min(widths) > 0
