from dataclasses import replace

import pytest

from overtop.report import size
from overtop.report.assemble import make_document
from overtop.report.size import add_cards, count_bytes
from report.example import example_document
from report.inputs import SmallWorld

EMPTY = replace(example_document(), queries=[], thumbnails=[])


def draw(n):
    """Cards whose thumbnails have about 1,000 bytes a card."""
    return example_document().queries, ["x" * 1000] * n


@pytest.mark.parametrize("limit", [10**4, 10**5, 10**6])
def test_page_has_as_many_cards_as_its_limit_allows(monkeypatch, limit):
    without = count_bytes(replace(EMPTY, queries=draw(0)[0]))
    monkeypatch.setattr(size, "MAX_BYTES", without + limit)
    document = add_cards(EMPTY, 2000, draw)
    assert count_bytes(document) <= without + limit
    assert len(document.thumbnails) >= 0.9 * limit / 1003 - 1


def test_page_without_room_has_no_cards_and_says_so(monkeypatch):
    monkeypatch.setattr(size, "MAX_BYTES", count_bytes(EMPTY) + 200)
    document = add_cards(EMPTY, 300, draw)
    assert (document.queries, document.thumbnails) == ([], [])
    assert document.warnings == [*EMPTY.warnings, size.NO_ROOM]
    assert document.downloads == EMPTY.downloads


def test_page_over_the_limit_without_cards_names_its_files(monkeypatch):
    monkeypatch.setattr(size, "MAX_BYTES", 1000)
    document = add_cards(EMPTY, 0, draw)
    assert document.warnings == EMPTY.warnings
    assert [file.text for file in document.downloads] == [None, None]
    assert [file.path for file in document.downloads] == [file.path for file in EMPTY.downloads]


def test_fewer_cards_than_declared_are_stated(tmp_path, monkeypatch):
    world = SmallWorld(tmp_path, n_images=60)
    full = count_bytes(make_document(world.results(), world.settings(queries=100)))
    monkeypatch.setattr(size, "MAX_BYTES", full - 3000)
    document = make_document(world.results(), world.settings(queries=100))
    assert count_bytes(document) <= full - 3000
    cards = document.queries[0]
    assert 0 < len(cards.id) < 100
    assert cards.sample.startswith(f"{len(cards.id)} of 120 queries: ")
    assert cards.sample.endswith("Fewer than the declared 100, so that the page stays below its size limit.")
