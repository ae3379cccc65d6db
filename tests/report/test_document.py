import json

from overtop.report.document import as_json
from report.example import NASTY, example_document


def test_example_is_valid_json_of_any_script_element():
    text = as_json(example_document())
    assert "<" not in text
    assert "\u2028" not in text
    document = json.loads(text)
    assert document["warnings"][1] == f"Item skipped: {NASTY}."
    assert document["panels"][0]["methods"][0]["id"] == "shapes/max_softmax"


def test_columns_of_the_example_are_of_equal_length():
    document = example_document()
    for table in [*document.tables, *document.robustness, *document.answers]:
        assert [*table.rows] == [column.key for column in table.columns]
        assert len({len(cells) for cells in table.rows.values()}) == 1
    for cards in document.queries:
        columns = (cards.text, cards.hit, cards.level, cards.top, cards.answer, cards.rank, *cards.share.values())
        assert {len(column) for column in columns} == {len(cards.id)}
