import itertools
import math

import numpy as np
import pytest
from scipy import integrate

from overtop.errors import OvertopError
from overtop.evaluation.stopping import count, savings, spent, stopped, truncated

ERRORS = [0.0, 0.001, 0.01, 0.05, 0.1, 0.3]


def drawn(seed, queries, samples, items, spread=1.0):
    """Ballots of queries of every difficulty."""
    rng = np.random.default_rng(seed)
    logits = spread * rng.normal(size=(queries, 1, items)) * rng.choice([0.3, 1, 3], size=(queries, 1, 1))
    return (logits + rng.gumbel(size=(queries, samples, items))).argmax(axis=2) + 100


def winner(ballots):
    """Most votes; at equal votes the one met first (dicts keep their order)."""
    votes = {}
    for ballot in ballots:
        votes[ballot] = votes.get(ballot, 0) + 1
    return max(votes, key=votes.get), max(votes.values())


def theta(rival, item):
    """The mean of x^a (1-x)^b on [1/2, 1]."""
    moments = [integrate.quad(lambda x, e=e: x ** (rival + e) * (1 - x) ** item, 0.5, 1)[0] for e in (0, 1)]
    return moments[1] / moments[0]


def plain(ballots, error):
    """How many of one query's ballots are drawn: the module's description, word by word."""
    total = len(ballots)
    wealth = dict.fromkeys([*ballots, "unseen"], 1.0)
    richest = dict(wealth)
    votes = dict.fromkeys(wealth, 0)
    seen = []
    for nth, ballot in enumerate(ballots):
        for item in wealth if seen else ():
            rivals = [other for other in seen if other != item]
            rival = max(rivals, key=votes.get, default=None)  # of equals the one seen first
            if rival is None or votes[rival] < votes[item]:
                continue
            share = theta(votes[rival], votes[item])
            p = max(0.5 - (votes[rival] - votes[item]) / (2 * (total - nth)), 0)
            if ballot == rival:
                wealth[item] *= share / p if p else math.inf
            elif ballot == item:
                wealth[item] *= (1 - share) / (1 - p)
        richest = {item: max(richest[item], wealth[item]) for item in wealth}
        votes[ballot] += 1
        if ballot not in seen:
            seen.append(ballot)
        leader = max(seen, key=votes.get)
        left = total - nth - 1
        for item in wealth:
            first = item == "unseen" or item not in seen or seen.index(leader) < seen.index(item)
            if item != leader and (
                votes[leader] > votes[item] + left or (votes[leader] == votes[item] + left and first)
            ):
                richest[item] = math.inf
        rest = [richest[item] for item in wealth if item != leader]
        if all(money * error >= 1 if error else money == math.inf for money in rest):
            return nth + 1
    raise AssertionError("the last ballot settles everything")


def orders(*votes):
    """Every order of some votes, (orders, S)."""
    ballots = [item for item, number in enumerate(votes) for _ in range(number)]
    return np.array(sorted(set(itertools.permutations(ballots))))


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(("samples", "items"), [(1, 3), (2, 2), (7, 3), (20, 5), (50, 30)])
def test_stops_where_a_plain_loop_stops(samples, items, error):
    ballots = drawn(samples, 25, samples, items)
    vote = count(ballots).settled(error)
    expected = [plain(list(row), error) for row in ballots]
    np.testing.assert_array_equal(vote.samples, expected)
    for row, used, won, share in zip(ballots, expected, vote.winner, vote.consistency, strict=True):
        item, votes = winner(row[:used])
        assert won == item
        assert share == votes / used


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_certain_is_when_no_continuation_has_another_winner(samples):
    items = samples  # of these, and one that nobody has voted for so far
    for row in itertools.product(range(items), repeat=samples):
        used = count(np.array([row])).settled(0).samples[0]
        for drawn_so_far in (used - 1, used):
            endings = itertools.product(range(items + 1), repeat=samples - drawn_so_far)
            winners = {winner([*row[:drawn_so_far], *ending])[0] for ending in endings}
            assert drawn_so_far == 0 or (len(winners) == 1) == (drawn_so_far == used)


@pytest.mark.parametrize("votes", [(4, 3), (3, 3), (5, 4), (6, 3), (3, 3, 2), (4, 4, 1), (4, 2, 1, 1), (2, 2, 2, 2)])
@pytest.mark.parametrize("error", [0.5, 0.3, 0.2, 0.1, 0.05, 0.01])
def test_over_all_orders_the_rule_errs_no_more_often_than_it_says(votes, error):
    vote = count(orders(*votes)).settled(error)
    assert (np.array(votes)[vote.winner] < max(votes)).mean() <= error


@pytest.mark.parametrize("error", [0.3, 0.1, 0.01])
def test_over_many_orders_of_fifty_the_rule_errs_no_more_often_than_it_says(error):
    rng = np.random.default_rng(0)
    for votes in ([26, 24], [18, 17, 15], [9, 8, *[1] * 33], [30, 20]):
        ballots = rng.permuted(np.tile(np.repeat(np.arange(len(votes)), votes), (1000, 1)), axis=1)
        wrong = (count(ballots).settled(error).winner != 0).mean()
        assert wrong <= error + 3 * math.sqrt(error * (1 - error) / 1000)


def test_the_rule_does_err():
    """Else the tests above could not fail."""
    vote = count(orders(5, 4)).settled(0.5)
    assert (vote.winner != 0).mean() > 0.05


@pytest.mark.parametrize("samples", [1, 2, 5, 8, 50])
def test_certain_agrees_with_all_samples_and_a_larger_error_never_takes_more(samples):
    ballots = drawn(3, 300, samples, 6)
    counted = count(ballots)
    full = counted.first(samples)
    assert full.winner.tolist() == [winner(row)[0] for row in ballots]
    np.testing.assert_array_equal(counted.settled(0).winner, full.winner)
    used = [counted.settled(error).samples for error in ERRORS]
    assert all((more >= fewer).all() for more, fewer in itertools.pairwise(used))
    assert used[0].min() >= samples / 2


def test_unanimous_votes_settle_early_and_ties_never():
    alike, turns = np.zeros((1, 50), int), np.tile([0, 1], 25)[None]
    assert [count(alike).settled(error).samples[0] for error in ERRORS] == [25, 12, 9, 7, 6, 4]
    assert [count(turns).settled(error).samples[0] for error in ERRORS] == [49] * 6


def test_names_of_items_do_not_matter():
    ballots = drawn(5, 100, 20, 8)
    renamed = np.random.default_rng(1).permutation(200)[ballots]
    for error in ERRORS:
        one, other = count(ballots).settled(error), count(renamed).settled(error)
        np.testing.assert_array_equal(one.samples, other.samples)
        assert np.random.default_rng(1).permutation(200)[one.winner].tolist() == other.winner.tolist()


def test_savings_are_counted():
    ballots = drawn(2, 200, 20, 5)
    counted = count(ballots)
    full = counted.first(20)
    votes = stopped(counted, [0, 0.05]) | truncated(counted)
    assert list(votes) == ["certain", "d=0.05", "first 2", "first 5", "first 10", "first 20"]
    table = savings(votes, full).set_index("rule")
    for rule, vote in votes.items():
        row, used = table.loc[rule], sorted(vote.samples)
        assert row["n_queries"] == 200
        assert row["mean_samples"] == pytest.approx(sum(used) / 200)
        assert row["share_saved"] == pytest.approx(1 - sum(used) / 200 / 20)
        assert row["q50"] == used[99]
        assert row["q95"] == used[189]
        assert row["agreement"] == sum(a == b for a, b in zip(vote.winner, full.winner, strict=True)) / 200
    assert table.loc["first 20", ["share_saved", "agreement"]].tolist() == [0, 1]
    assert table.loc["first 2", "agreement"] < table.loc["first 10", "agreement"] < 1


def test_the_distribution_of_samples_ends_with_all_queries():
    counted = count(drawn(2, 200, 20, 5))
    votes = stopped(counted, [0, 0.1])
    table = spent(votes, 20)
    for rule, vote in votes.items():
        rows = table[table["rule"] == rule]
        assert rows["samples"].tolist() == list(range(21))
        np.testing.assert_allclose(rows["share_settled"], [(vote.samples <= n).mean() for n in range(21)])


@pytest.mark.parametrize("error", [-0.1, 1, 2, math.nan])
def test_an_error_that_is_none(error):
    with pytest.raises(OvertopError, match="error of a stopping rule"):
        count(np.zeros((1, 2), int)).settled(error)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (3,)])
def test_nothing_to_count(shape):
    with pytest.raises(OvertopError, match="ballots have shape"):
        count(np.zeros(shape, int))


@pytest.mark.parametrize("number", [0, 4])
def test_more_samples_than_there_are(number):
    with pytest.raises(OvertopError, match="ask for 1 to 3"):
        count(np.zeros((1, 3), int)).first(number)
