import numpy as np
import pytest

from helpers.cascade_inputs import (
    N_CAPTIONS,
    N_SAMPLES,
    cheap_answers,
    count_top1_votes,
    make_cascade_inputs,
    voted_pairs,
)
from overtop.errors import OvertopError
from overtop.evaluation.answers import (
    CascadeInputs,
    error_probability,
    estimator_answers,
    pair_answers,
    rank_answers,
    vote_answers,
)
from overtop.retrieval.ranking import Ranking

TEST, VAL = make_cascade_inputs(0), make_cascade_inputs(1)


def expensive_answers(inputs, direction):
    answers = estimator_answers(inputs.expensive, direction, "top1_consistency", "corrected")
    return answers.assign(samples=N_SAMPLES)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_vote_answer_is_a_hit_if_it_belongs_to_the_image_of_the_query(direction):
    ranking = TEST.rankings[direction]
    vote = count_top1_votes(ranking).when_settled(0.1)
    answers = vote_answers(TEST, direction, vote)
    for number, (query, row) in enumerate(answers.iterrows()):
        query_number, item_number = (int(name[1:]) for name in (query, ranking.gallery_ids[vote.winner[number]]))
        caption, image = (query_number, item_number) if direction == "t2i" else (item_number, query_number)
        assert row["hit"] == (caption // 2 == image)
        assert row["image_id"] == f"i{image if direction == 'i2t' else caption // 2}"
        assert row["samples"] == vote.n_samples[number]
        assert row["uncertainty"] == 1 - vote.consistency[number]
    assert 0 < answers["hit"].mean() < 1


def test_caption_of_a_skipped_image_is_no_hit():
    inputs = make_cascade_inputs(0, skipped=["c0", "c1"])
    ranking = inputs.rankings["i2t"]
    vote = count_top1_votes(ranking).after(N_SAMPLES)
    is_skipped = [ranking.gallery_ids[item] in ("c0", "c1") for item in vote.winner]
    assert any(is_skipped)
    assert not vote_answers(inputs, "i2t", vote)["hit"][is_skipped].any()


def test_ranking_with_fewer_queries_than_the_scores_is_rejected():
    full = TEST.rankings["t2i"]
    short = Ranking(full.query_ids[:-1], full.gallery_ids, full.top_ids, full.top_scores, full.sample_top[:-1])
    inputs = CascadeInputs(TEST.cheap, TEST.expensive, {**TEST.rankings, "t2i": short})
    with pytest.raises(OvertopError, match="score that ranking again"):
        vote_answers(inputs, "t2i", count_top1_votes(short).after(2))


def test_estimator_without_scores_is_rejected():
    with pytest.raises(OvertopError, match=r"no scores of 'margn'.*'margin'"):
        estimator_answers(TEST.cheap, "t2i", "margn", "corrected")
    with pytest.raises(OvertopError, match="protocol 'published'"):
        estimator_answers(TEST.cheap, "t2i", "margin", "published")


def test_pairs_contain_the_queries_with_both_answers():
    assert len(voted_pairs(make_cascade_inputs(0, skipped=["c3"]), "t2i")) == N_CAPTIONS - 1
    cheap = cheap_answers(TEST, "t2i").drop("c5")
    expensive = expensive_answers(TEST, "t2i").drop("c9")
    assert set(pair_answers(cheap, expensive).index) == set(cheap.index) - {"c9"}
    with pytest.raises(OvertopError, match="no query in common"):
        pair_answers(cheap.head(2), expensive.tail(2))


def test_uncertainty_that_is_not_finite_is_rejected():
    cheap = cheap_answers(TEST, "t2i").assign(uncertainty=np.nan)
    with pytest.raises(OvertopError, match="uncertainty of query number 0 is nan"):
        pair_answers(cheap, expensive_answers(TEST, "t2i"))


@pytest.mark.parametrize("seed", range(5))
def test_error_probability_equals_pooled_adjacent_violators(seed):
    rng = np.random.default_rng(seed)
    uncertainty, hit = rng.integers(0, 12, 60) / 10, rng.random(60) < 0.6
    pools = []  # [value, misses, queries] of each distinct uncertainty, pooled until the shares rise
    for value in sorted(set(uncertainty)):
        pools.append([value, (~hit[uncertainty == value]).sum(), (uncertainty == value).sum()])
        while len(pools) > 1 and pools[-2][1] / pools[-2][2] >= pools[-1][1] / pools[-1][2]:
            _, misses, queries = pools.pop()
            pools[-1][1:] = [pools[-1][1] + misses, pools[-1][2] + queries]
    at = np.array([-1, 0, 0.05, 0.3, 0.7, 1.1, 5])
    expected = [
        next((misses / queries for value, misses, queries in reversed(pools) if value <= x), pools[0][1] / pools[0][2])
        for x in at
    ]
    np.testing.assert_allclose(error_probability(uncertainty, hit, at), expected)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_answers_are_ranked_by_probability_then_posterior_then_own_order(direction):
    test, val = voted_pairs(TEST, direction), voted_pairs(VAL, direction)
    answers = rank_answers(test, val)
    cheap = test["cheap"].to_numpy()
    test_order, val_order = (list(zip(pairs["expensive"], pairs["cheap"], strict=True)) for pairs in (test, val))
    distinct_orders = sorted({*test_order, *val_order})
    wrong = [
        error_probability(val["cheap"], val["cheap_hit"], cheap),
        error_probability(
            np.array([distinct_orders.index(order) for order in val_order]),
            val["expensive_hit"],
            np.array([distinct_orders.index(order) for order in test_order]),
        ),
    ]
    own_order = [[(value,) for value in cheap], test_order]
    keys = [(wrong[side][q], side, own_order[side][q]) for side in (0, 1) for q in range(len(test))]
    distinct = sorted(set(keys))
    assert answers.rank.ravel().tolist() == [distinct.index(key) for key in keys]
    assert len(distinct) > 3 * len(test) / 2
