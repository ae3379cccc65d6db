import numpy as np
import pytest

from overtop.cli.labels import LabelTable, find_rows, read_labels
from overtop.errors import OvertopError

ITEMS = ["cat.jpg", "dog.jpg", "cow.jpg"]


@pytest.fixture
def labels(tmp_path):
    """Read labels from the lines of a table."""

    def read(*lines):
        path = tmp_path / "labels.csv"
        path.write_text("\n".join(["query,relevant", *lines]) + "\n")
        return read_labels(path)

    return read


def test_rows_of_a_query_are_collected_in_order(labels):
    table = labels("q2,dog.jpg", "q0,cat.jpg", "q2,cow.jpg", "q2,dog.jpg", "q1,")
    assert table.relevant == {"q2": ["dog.jpg", "cow.jpg"], "q0": ["cat.jpg"], "q1": []}
    assert table.find_items(ITEMS, "gallery") == [[1, 2], [0], []]
    np.testing.assert_array_equal(table.find_queries(["q0", "q1", "q2", "q3"], "queries"), [2, 0, 1])


def test_row_numbers_name_queries_and_items_without_such_ids(labels):
    table = labels("2,1", "0,0", "0,2")
    assert table.find_items(ITEMS, "gallery") == [[1], [0, 2]]
    np.testing.assert_array_equal(table.find_queries(["a", "b", "c"], "queries"), [2, 0])


def test_ids_take_precedence_over_row_numbers(labels):
    table = labels("2,1", "1,2")
    assert table.find_items(["2", "1", "0"], "gallery") == [[1], [0]]


@pytest.mark.parametrize("items", [["1", "2", "3"], ["0", "cat.jpg"]])
def test_mixture_of_ids_and_row_numbers_is_rejected(labels, items):
    with pytest.raises(OvertopError, match=r"column relevant: '\d' is not in gallery"):
        labels("0,0", "1,1").find_items(items, "gallery")


def test_unknown_item_is_named_with_the_number_of_such_values(labels):
    table = labels("0,cat.jpg", "1,bat.jpg", "2,owl.jpg", "3,bat.jpg")
    with pytest.raises(
        OvertopError, match=r"labels.csv: column relevant: 'bat.jpg' is not in g \(2 of 3 values"
    ) as error:
        table.find_items(ITEMS, "g")
    assert "such as 'cat.jpg', or its row numbers 0 to 2" in str(error.value)


@pytest.mark.parametrize("row", ["3", "-1", "1.5"])
def test_row_number_out_of_range_is_rejected(labels, row):
    with pytest.raises(OvertopError, match=f"'{row}' is not in g"):
        labels(f"0,{row}").find_items(ITEMS, "g")


def test_all_items_with_the_id_of_a_label_are_relevant(labels):
    assert labels("0,a", "1,b").find_items(["a", "b", "b"], "g") == [[0], [1, 2]]


def test_label_of_a_query_whose_id_is_not_unique_is_rejected(labels):
    with pytest.raises(OvertopError, match="column query: 'b' is the id of several rows of q"):
        labels("a,0", "b,1").find_queries(["a", "b", "b"], "q")


def test_queries_that_are_not_labelled_yet_are_left_out(labels):
    assert labels("a,?", "b,", "c,x", "c,?").relevant == {"b": [], "c": ["x"]}
    with pytest.raises(OvertopError, match=r"no query is labelled; replace \? by"):
        labels("a,?")


def test_query_written_in_two_ways_is_rejected(labels):
    with pytest.raises(OvertopError, match="query '01' is written in two ways|query '1' is written in two ways"):
        labels("1,0", "01,1").find_queries(["a", "b"], "q")


def test_query_that_matches_nothing_and_something_is_rejected(labels):
    with pytest.raises(OvertopError, match=r"query 'q' has both an empty `relevant` \(nothing matches\) and 'a'"):
        labels("q,a", "q,")


def test_row_without_a_query_is_rejected(labels):
    with pytest.raises(OvertopError, match="row 2 has no query"):
        labels("q,a", ",b")


def test_no_labels_of_items_need_no_items(tmp_path):
    table = LabelTable(tmp_path, {"q": []})
    assert table.find_items(ITEMS, "g") == [[]]


def test_number_beyond_all_rows_is_named():
    with pytest.raises(OvertopError, match="row numbers 0 to 1"):
        find_rows(["9" * 5000], ["cat", "dog"], "labels.csv", "gallery.npy")
