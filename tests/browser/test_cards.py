"""The query cards: filters, order, search and pages."""

from dataclasses import fields, replace

import pytest

from browser.reading import card_ids
from overtop.report.document import QueryCards


@pytest.fixture(scope="module")
def many(example):
    """The example with 60 queries in its first panel: three pages."""
    cards = example.queries[0]
    columns = {f.name: getattr(cards, f.name) * 5 for f in fields(QueryCards) if len_of(cards, f.name) == 12}
    columns["id"] = [f"query-{number}" for number in range(60)]
    ascending = [number / 60 for number in range(60)]
    columns["share"] = {"max_softmax": ascending, "top1_similarity": ascending[::-1]}
    return replace(example, queries=[replace(cards, **columns), example.queries[1]])


def len_of(cards, name):
    value = getattr(cards, name)
    return len(value) if isinstance(value, list) else 0


def status(page):
    return page.locator("#query-status").inner_text()


@pytest.mark.parametrize(("shown", "hit"), [("hit", True), ("miss", False)])
def test_filter_of_hits_and_misses(open_report, example, shown, hit):
    page = open_report(example)
    page.locator("#query-hit").select_option(shown)
    cards = example.queries[0]
    assert card_ids(page) == [name for name, value in zip(cards.id, cards.hit, strict=True) if value is hit]
    assert page.locator(".card .facts b").first.inner_text() == ("✓ right" if hit else "✗ wrong")


def test_filter_of_levels_and_search_combine(open_report, example):
    page = open_report(example)
    page.locator("#query-level").select_option("vague")
    page.locator("#query-text").fill("square DARKORANGE")
    cards = example.queries[0]
    expected = [
        name
        for name, text, level in zip(cards.id, cards.text, cards.level, strict=True)
        if level == "vague" and "darkorange" in text
    ]
    assert expected
    assert card_ids(page) == expected
    assert status(page).startswith(f"{len(expected)} of 12 queries")


def test_search_without_a_result_says_so_and_is_cleared(open_report, example):
    page = open_report(example)
    page.locator("#query-text").fill("zebra")
    assert card_ids(page) == []
    assert status(page) == "0 of 12 queries, page 1 of 1"
    page.get_by_role("button", name="Clear the filters").press("Enter")
    page.locator(".card").first.wait_for()
    assert card_ids(page) == example.queries[0].id


def test_order_is_by_the_chosen_estimator(open_report, example):
    page = open_report(example)
    cards = example.queries[0]
    for estimator, first in (("max_softmax", "certain"), ("max_softmax", "uncertain"), ("top1_similarity", "certain")):
        page.locator("#query-order").select_option(estimator)
        page.locator("#query-first").select_option(first)
        share = cards.share[estimator]
        order = sorted(range(12), key=share.__getitem__, reverse=first == "uncertain")
        assert card_ids(page) == [cards.id[i] for i in order]


def test_pages_by_keyboard_keep_the_focus(open_report, many):
    page = open_report(many)
    following = page.locator(".pager button[data-step='1']").first
    following.focus()
    seen = card_ids(page)
    for number in (2, 3):
        page.keyboard.press("Enter")
        assert status(page) == f"60 of 60 queries, page {number} of 3"
        seen += card_ids(page)
    assert seen == many.queries[0].id
    page.keyboard.press("Enter")  # there is no fourth page
    assert status(page) == "60 of 60 queries, page 3 of 3"
    assert following.get_attribute("aria-disabled") == "true"
    assert following.evaluate("button => button === document.activeElement")


def test_filter_goes_back_to_the_first_page(open_report, many):
    page = open_report(many)
    page.locator(".pager button[data-step='1']").last.click()
    page.locator("#query-hit").select_option("hit")
    assert status(page) == "40 of 60 queries, page 1 of 2"


def test_other_direction_shows_pictures_as_queries_and_texts_as_results(open_report, example):
    page = open_report(example)
    page.locator("#query-panel").select_option("shapes/test/i2t")
    first = page.locator(".card").first
    assert first.locator("h3 img").get_attribute("alt") == "image crimson#0"
    assert first.locator(".top li").first.inner_text().startswith("a crimson square")
    assert not page.locator("#level-field").is_visible()


def test_card_shows_what_the_document_says(open_report, example):
    page = open_report(example)
    cards = example.queries[0]
    card = page.locator(".card").nth(3)
    assert card.locator("h3").inner_text() == cards.text[3]
    assert card.locator(".similarity").all_inner_texts() == [f"{value:.3f}" for value in cards.similarity[3]]
    marks = ["✓\u00a0match" if value == 1 else "✓\u00a0match, not labelled" for value in cards.positive[3] if value]
    assert card.locator(".match-mark").all_inner_texts() == marks
    assert card.locator(".amount").all_inner_texts() == ["25 %", "66.7 %"]
    pictures = card.locator(".top img").evaluate_all("images => images.map(image => [image.src, image.naturalWidth])")
    assert pictures == [[example.thumbnails[item], 64] for item in cards.top[3]]


def test_labelled_match_of_a_miss_is_named(open_report, example):
    page = open_report(example)
    cards = example.queries[0]
    missed = next(i for i in range(12) if not cards.hit[i] and cards.answer[i] not in cards.top[i])
    text = page.locator(".card").nth(missed).inner_text()
    assert "Labelled match, beyond the stored ranking" in text
