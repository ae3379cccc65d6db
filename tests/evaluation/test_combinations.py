import pandas as pd
import pytest

from overtop.evaluation.combinations import combinations_by_direction, number_ids

IDS = ["q2", "q10", "q1", "q10", "é", "Z"]


@pytest.mark.parametrize("categories", [None, ["é", "unused", "q2", "Z", "q10", "q1"]])
def test_numbers_have_the_order_of_the_ids(categories):
    ids = pd.Series(IDS) if categories is None else pd.Series(pd.Categorical(IDS, categories))
    numbered = number_ids(pd.DataFrame({"query_id": ids, "image_id": ids}))
    numbers, expected = (pd.factorize(column, sort=True)[0] for column in (numbered["query_id"], pd.Series(IDS)))
    assert numbers.tolist() == expected.tolist()
    assert numbered["image_id"].tolist() == numbered["query_id"].tolist()


def test_combinations_of_a_direction_stand_together_without_those_of_unknown_hits():
    row = {"query_id": 0, "image_id": 0, "protocol": "corrected", "uncertainty": 0.5, "hit": True, "rank": 1.0}
    row |= {"hit_extended": pd.NA, "rank_extended": float("nan"), "tied": False, "absent": False}
    methods = [("i2t", "b"), ("t2i", "a"), ("i2t", "a")]
    scores = pd.DataFrame([row | {"direction": direction, "estimator": name} for direction, name in methods])
    found = [
        [(each.direction, each.estimator, each.positives) for each in of] for of in combinations_by_direction(scores)
    ]
    assert found == [[("i2t", "b", "labelled"), ("i2t", "a", "labelled")], [("t2i", "a", "labelled")]]
