from dataclasses import replace

import numpy as np
import pandas as pd

from helpers.rankings import make_ranking
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import score_direction
from overtop.report.cards import CardSource, make_cards
from overtop.report.document import NO_THUMBNAIL
from overtop.report.thumbnails import Thumbnails
from overtop.storage.split import Split, split_from_labels

PANEL = {"dataset": "d", "split": "test", "posterior": "p", "estimator": "margin", "protocol": "corrected"}


def make(tmp_path, split, direction, similar, n=100):
    """The cards of all queries of a similarity matrix (Q, N), by the margin of the best two items."""
    names = (split.caption_ids, split.image_ids)
    queries, gallery = names if direction == "t2i" else names[::-1]
    ranking = replace(make_ranking(similar), query_ids=queries, gallery_ids=gallery)
    scores = score_direction(split, direction, EstimatorInputs(ranking), ["margin"])
    panel = pd.DataFrame([PANEL | {"direction": direction, "positives": "labelled"}])
    source = CardSource(split, {direction: ranking}, scores, list)
    return make_cards(panel, source, n, n, 0, Thumbnails(tmp_path, 1))


def test_images_of_classes_show_the_names_of_classes(tmp_path):
    split = split_from_labels(["a", "b", "c"], ["", "", ""], [[0], [1, 2], [2]], ["dog", "cat", "bird"], ["a {c}"])
    cards = make(tmp_path, split, "i2t", [[0.9, 0.1, 0.2], [0.1, 0.3, 0.4], [0.5, 0.1, 0.4]])
    assert cards.id == ["a", "b", "c"]
    assert cards.gallery.text == ["dog", "cat", "bird"]
    assert [[cards.gallery.text[item] for item in items] for items in cards.top][1] == ["bird", "cat", "dog"]
    assert cards.positive == [[1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert (cards.hit, cards.rank, cards.level) == ([True, True, False], [1, 1, 2], ["", "", ""])
    assert set(cards.thumbnail + cards.gallery.thumbnail) == {NO_THUMBNAIL}


def test_query_whose_target_is_absent_is_a_miss_without_an_answer(tmp_path):
    split = Split(["a", "b"], ["", ""], ["a#0", "b#0"], ["A", "B"], np.array([0, 1]), absent=np.array([False, True]))
    ranking = replace(make_ranking([[0.9], [0.1]]), query_ids=split.caption_ids, gallery_ids=["a"])
    scores = score_direction(split, "t2i", EstimatorInputs(ranking), ["top1_similarity"])
    panel = pd.DataFrame([PANEL | {"direction": "t2i", "positives": "labelled", "estimator": "top1_similarity"}])
    cards = make_cards(panel, CardSource(split, {"t2i": ranking}, scores, list), 9, 9, 0, Thumbnails(tmp_path, 1))
    assert cards.id == ["a#0", "b#0"]
    assert (cards.hit, cards.answer, cards.rank) == ([True, False], [0, -1], [1, None])
    assert cards.positive == [[1], [0]]


def test_labelled_item_beyond_the_best_five_is_shown_with_its_rank(tmp_path):
    names = [str(number) for number in range(8)]
    split = Split(names, [""] * 8, ["q"], ["a caption"], np.array([6]))
    cards = make(tmp_path, split, "t2i", [np.arange(8)[::-1] / 10])
    assert [cards.gallery.id[item] for item in cards.top[0]] == ["0", "1", "2", "3", "4"]
    assert (cards.gallery.id[cards.answer[0]], cards.rank) == ("6", [7])
    assert cards.similarity == [[0.7, 0.6, 0.5, 0.4, 0.3]]


def test_share_counts_strictly_more_certain_queries(tmp_path):
    names = ["a", "b", "c", "d"]
    split = Split(names, [""] * 4, [f"{n}#0" for n in names], names, np.arange(4))
    similar = np.array([[0.9, 0.1, 0, 0], [0.5, 0.4, 0, 0], [0.5, 0.4, 0, 0], [0.2, 0.2, 0, 0]])
    cards = make(tmp_path, split, "t2i", similar)
    assert cards.share == {"margin": [0, 0.25, 0.25, 0.75]}
