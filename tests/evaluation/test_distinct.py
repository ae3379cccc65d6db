"""Tests of evaluation of equal queries once."""

from dataclasses import dataclass

import pytest

from overtop.evaluation.distinct import Content, map_distinct


@dataclass(frozen=True)
class Queries:
    name: str
    content: Content


ITEMS = [Queries("a", (b"1", b"0")), Queries("b", (b"2", b"0")), Queries("c", (b"1", b"0")), Queries("d", (b"1", b"1"))]


@pytest.mark.parametrize("threads", [1, 3])
def test_equal_content_is_measured_once_and_found_by_all(threads):
    measured = []

    def measure(queries: Queries) -> Content:
        measured.append(queries.content)
        return queries.content

    results = map_distinct(measure, ITEMS, threads)
    assert sorted(measured) == sorted({item.content for item in ITEMS})
    assert all(results[item.content] == item.content for item in ITEMS)


def test_error_of_a_measurement_is_raised():
    def measure(queries: Queries) -> None:
        raise ValueError(queries.name)

    with pytest.raises(ValueError, match="^c$"):
        map_distinct(measure, ITEMS[:1] + ITEMS[2:3], 2)
