import numpy as np
import pytest

from overtop.evaluation.stopping import apply_stopping_rules, sample_distribution, summarise_votes, truncate_votes
from overtop.evaluation.voting import count_votes


@pytest.fixture
def counts():
    """Counts of 20 samples on 200 easy and difficult queries."""
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(200, 1, 5)) * rng.choice([0.3, 1, 3], size=(200, 1, 1))
    return count_votes((logits + rng.gumbel(size=(200, 20, 5))).argmax(axis=2))


def test_summary_has_the_samples_and_the_agreement_of_each_rule(counts):
    full = counts.after(20)
    votes = apply_stopping_rules(counts, [0, 0.05]) | truncate_votes(counts)
    assert list(votes) == ["certain", "d=0.05", "first 2", "first 5", "first 10", "first 20"]
    table = summarise_votes(votes, full).set_index("rule")
    for rule, vote in votes.items():
        row, used = table.loc[rule], sorted(vote.n_samples)
        assert row["n_queries"] == 200
        assert row["mean_samples"] == pytest.approx(sum(used) / 200)
        assert row["share_saved"] == pytest.approx(1 - sum(used) / 200 / 20)
        assert row["q50"] == used[99]
        assert row["q95"] == used[189]
        assert row["agreement"] == sum(a == b for a, b in zip(vote.winner, full.winner, strict=True)) / 200
        assert row["consistency"] == vote.consistency.mean()
    assert table.loc["first 20", ["share_saved", "agreement"]].tolist() == [0, 1]
    assert table.loc["first 2", "agreement"] < table.loc["first 10", "agreement"] < 1


def test_sample_distribution_is_cumulative(counts):
    votes = apply_stopping_rules(counts, [0, 0.1])
    table = sample_distribution(votes, 20)
    for rule, vote in votes.items():
        rows = table[table["rule"] == rule]
        assert rows["samples"].tolist() == list(range(21))
        np.testing.assert_allclose(rows["share_settled"], [(vote.n_samples <= n).mean() for n in range(21)])
