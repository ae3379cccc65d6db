import numpy as np
import pandas as pd
import pytest

from overtop.confidence.labelling import find_hits, parse_relevant, queries_to_label
from overtop.errors import OvertopError

GALLERY = ["cat", "dog", "cow", "dog"]


def test_every_prefix_of_the_sample_is_the_smaller_sample():
    sample = queries_to_label(1000, size=100, seed=3)
    assert len(set(sample)) == 100
    assert set(sample) <= set(range(1000))
    np.testing.assert_array_equal(queries_to_label(1000, size=17, seed=3), sample[:17])


def test_every_query_is_equally_likely_in_every_place_of_the_sample():
    samples = np.array([queries_to_label(5, size=5, seed=seed) for seed in range(2000)])
    counts = np.array([np.bincount(place, minlength=5) for place in samples.T])
    assert (abs(counts - 400) < 5 * 400**0.5).all()


def test_ids_are_sampled_as_their_rows():
    ids = [f"q{row}" for row in range(30)]
    assert queries_to_label(ids, size=4) == [ids[row] for row in queries_to_label(30, size=4)]


def test_all_queries_are_labelled_if_there_are_fewer():
    assert sorted(queries_to_label(7, size=100).tolist()) == list(range(7))
    assert queries_to_label(np.int64(7), size=2).tolist() == queries_to_label(7, size=2).tolist()


@pytest.mark.parametrize(("queries", "size"), [(0, 10), ([], 10), (10, 0)])
def test_empty_sample_is_an_error(queries, size):
    with pytest.raises(OvertopError, match="to label; both must be at least 1"):
        queries_to_label(queries, size=size)


@pytest.mark.parametrize(
    ("label", "rows"),
    [
        (2, [2]),
        (np.int32(2), [2]),
        (2.0, [2]),
        ("cow", [2]),
        ("dog", [1, 3]),
        ([0, "cow"], [0, 2]),
        ((3, 1), [3, 1]),
        ({1}, [1]),
        (np.array([1, 2]), [1, 2]),
        ([], []),
        (np.array([], dtype=int), []),
        (-1, None),
        (np.int64(-1), None),
        (None, None),
        (np.nan, None),
        (pd.NA, None),
    ],
)
def test_label_of_a_query_gives_rows_of_the_gallery(label, rows):
    (parsed,) = parse_relevant([label], GALLERY)
    assert (None if parsed is None else parsed.tolist()) == rows


def test_labels_may_be_an_array_or_a_column():
    for labels in (np.array([3, -1, 0]), pd.Series([3, None, 0]), [3, -1, 0]):
        first, second, third = parse_relevant(labels, GALLERY)
        assert (first.tolist(), second, third.tolist()) == ([3], None, [0])


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (4, "query number 1 has row 4, but the gallery has rows 0 to 3"),
        (-2, "query number 1 has row -2"),
        ([0, -1], "query number 1 has row -1"),
        ("dgo", "query number 1 names 'dgo', which is not in the gallery; did you mean 'dog'?"),
        (1.5, "query number 1 has 1.5; give rows"),
        (True, "query number 1 has True; give rows"),
        ([None], "query number 1 has None; give rows"),
        ([np.nan], "query number 1 has nan; give rows"),
        ([[0]], r"query number 1 has \[0\]; give rows"),
    ],
)
def test_invalid_label_is_an_error_that_names_the_query(label, message):
    with pytest.raises(OvertopError, match=message):
        parse_relevant([0, label], GALLERY)


def test_items_of_the_group_of_a_relevant_item_are_hits():
    top1 = np.array([0, 1, 2, 3, 3])
    relevant = [np.array(rows, dtype=np.int64) for rows in ([0], [2], [0, 3], [2], [])]
    hits = find_hits(top1, relevant, groups=np.array([0, 0, 2, 2]))
    assert hits.tolist() == [True, False, True, True, False]
