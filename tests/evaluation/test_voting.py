"""Votes and their martingale against a plain loop over items and samples."""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate

from overtop.errors import OvertopError
from overtop.evaluation.voting import count_votes

ERRORS = [0.0, 0.001, 0.01, 0.05, 0.1, 0.3]
UNSEEN = "unseen"


def random_votes(seed, queries, samples, items):
    """Return votes (queries, samples) of easy and difficult queries."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(queries, 1, items)) * rng.choice([0.3, 1, 3], size=(queries, 1, 1))
    return (logits + rng.gumbel(size=(queries, samples, items))).argmax(axis=2) + 100


def find_winner(top1):
    """Return the item with most votes, of ties the first (dicts are ordered), and its number of votes."""
    votes = {}
    for item in top1:
        votes[item] = votes.get(item, 0) + 1
    return max(votes, key=votes.get), max(votes.values())


def mean_rival_share(rival, item):
    """Return the mean of x under the density x^rival (1 - x)^item on [1/2, 1], by numerical integration."""
    moments = [integrate.quad(lambda x, e=e: x ** (rival + e) * (1 - x) ** item, 0.5, 1)[0] for e in (0, 1)]
    return moments[1] / moments[0]


def samples_until_settled(top1, error):
    """Return how many samples of one query are used, by a loop that follows the docstring of the martingale."""
    total = len(top1)
    wealth = dict.fromkeys([*top1, UNSEEN], 1.0)
    max_wealth = dict(wealth)
    votes = dict.fromkeys(wealth, 0)
    seen = []
    for sample, vote in enumerate(top1):
        for item in wealth if seen else ():
            rivals = [other for other in seen if other != item]
            rival = max(rivals, key=votes.get, default=None)  # of ties the one seen first
            if rival is None or votes[rival] < votes[item]:
                continue
            share = mean_rival_share(votes[rival], votes[item])
            p = max(0.5 - (votes[rival] - votes[item]) / (2 * (total - sample)), 0)
            if vote == rival:
                wealth[item] *= share / p if p else math.inf
            elif vote == item:
                wealth[item] *= (1 - share) / (1 - p)
        max_wealth = {item: max(max_wealth[item], wealth[item]) for item in wealth}
        votes[vote] += 1
        if vote not in seen:
            seen.append(vote)
        leader = max(seen, key=votes.get)
        remaining = total - sample - 1
        for item in wealth:
            loses_tie = item not in seen or seen.index(leader) < seen.index(item)
            lead = votes[leader] - votes[item]
            if item != leader and (lead > remaining or (lead == remaining and loses_tie)):
                max_wealth[item] = math.inf
        others = [max_wealth[item] for item in wealth if item != leader]
        if all(value * error >= 1 if error else value == math.inf for value in others):
            return sample + 1
    raise AssertionError("the last sample settles every query")


def all_orders(*votes):
    """Return every distinct order (n, S) of the votes for items 0, 1, ..., given the number of votes for each."""
    top1 = [item for item, number in enumerate(votes) for _ in range(number)]
    return np.array(sorted(set(itertools.permutations(top1))))


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(("samples", "items"), [(1, 3), (2, 2), (7, 3), (20, 5), (50, 30)])
def test_query_stops_where_a_plain_loop_stops(samples, items, error):
    top1 = random_votes(samples, 25, samples, items)
    result = count_votes(top1).when_settled(error)
    expected = [samples_until_settled(list(row), error) for row in top1]
    np.testing.assert_array_equal(result.n_samples, expected)
    for row, used, winner, consistency in zip(top1, expected, result.winner, result.consistency, strict=True):
        expected_winner, votes = find_winner(row[:used])
        assert winner == expected_winner
        assert consistency == votes / used


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_certain_rule_stops_once_no_continuation_changes_the_winner(samples):
    items = samples  # remaining samples may also vote for one more item
    for row in itertools.product(range(items), repeat=samples):
        used = count_votes(np.array([row])).when_settled(0).n_samples[0]
        for known in {used - 1, used} - {0}:
            endings = itertools.product(range(items + 1), repeat=samples - known)
            winners = {find_winner([*row[:known], *ending])[0] for ending in endings}
            assert (len(winners) == 1) == (known == used)


@pytest.mark.parametrize("votes", [(4, 3), (3, 3), (5, 4), (6, 3), (3, 3, 2), (4, 4, 1), (4, 2, 1, 1), (2, 2, 2, 2)])
@pytest.mark.parametrize("error", [0.5, 0.3, 0.2, 0.1, 0.05, 0.01])
def test_error_rate_over_all_orders_is_at_most_the_error_probability(votes, error):
    result = count_votes(all_orders(*votes)).when_settled(error)
    assert (np.array(votes)[result.winner] < max(votes)).mean() <= error


@pytest.mark.parametrize("error", [0.3, 0.1, 0.01])
def test_error_rate_over_random_orders_of_fifty_is_at_most_the_error_probability(error):
    rng = np.random.default_rng(0)
    for votes in ([26, 24], [18, 17, 15], [9, 8, *[1] * 33], [30, 20]):
        top1 = rng.permuted(np.tile(np.repeat(np.arange(len(votes)), votes), (1000, 1)), axis=1)
        error_rate = (count_votes(top1).when_settled(error).winner != 0).mean()
        assert error_rate <= error + 3 * math.sqrt(error * (1 - error) / 1000)


def test_rule_with_large_error_probability_makes_errors():
    """Without any errors, the two tests above could not fail."""
    result = count_votes(all_orders(5, 4)).when_settled(0.5)
    assert (result.winner != 0).mean() > 0.05


@pytest.mark.parametrize("samples", [1, 2, 5, 8, 50])
def test_certain_rule_has_the_full_winner_and_larger_errors_use_fewer_samples(samples):
    top1 = random_votes(3, 300, samples, 6)
    counts = count_votes(top1)
    full = counts.after(samples)
    assert full.winner.tolist() == [find_winner(row)[0] for row in top1]
    np.testing.assert_array_equal(counts.when_settled(0).winner, full.winner)
    used = [counts.when_settled(error).n_samples for error in ERRORS]
    assert all((more >= fewer).all() for more, fewer in itertools.pairwise(used))
    assert used[0].min() >= samples / 2


def test_unanimous_votes_settle_early_and_alternating_votes_late():
    unanimous, alternating = np.zeros((1, 50), int), np.tile([0, 1], 25)[None]
    assert [count_votes(unanimous).when_settled(error).n_samples[0] for error in ERRORS] == [25, 12, 9, 7, 6, 4]
    assert [count_votes(alternating).when_settled(error).n_samples[0] for error in ERRORS] == [49] * 6


def test_result_does_not_depend_on_item_numbers():
    top1 = random_votes(5, 100, 20, 8)
    new_numbers = np.random.default_rng(1).permutation(200)
    for error in ERRORS:
        original = count_votes(top1).when_settled(error)
        renumbered = count_votes(new_numbers[top1]).when_settled(error)
        np.testing.assert_array_equal(original.n_samples, renumbered.n_samples)
        np.testing.assert_array_equal(new_numbers[original.winner], renumbered.winner)


@pytest.mark.parametrize("error", [-0.1, 1, 2, math.nan])
def test_error_out_of_range_is_rejected(error):
    with pytest.raises(OvertopError, match="error of a stopping rule"):
        count_votes(np.zeros((1, 2), int)).when_settled(error)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,)])
def test_empty_votes_are_rejected(shape):
    with pytest.raises(OvertopError, match="the votes have shape"):
        count_votes(np.zeros(shape, int))


@pytest.mark.parametrize("number", [0, 4])
def test_number_of_samples_out_of_range_is_rejected(number):
    with pytest.raises(OvertopError, match="use 1 to 3"):
        count_votes(np.zeros((1, 3), int)).after(number)
