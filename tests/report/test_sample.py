import numpy as np
import pytest

from overtop.report.sample import describe_sample, sample_queries


def make_queries(n=500, seed=0):
    rng = np.random.default_rng(seed)
    uncertainty = rng.random(n)
    return uncertainty, rng.random(n) > uncertainty


def test_most_and_least_certain_hits_and_misses_are_in_the_sample():
    uncertainty, hit = make_queries()
    chosen = sample_queries(uncertainty, hit, 80, seed=0)
    assert len(set(chosen)) == 80
    for group in (np.flatnonzero(hit), np.flatnonzero(~hit)):
        by_certainty = group[np.argsort(uncertainty[group])]
        assert {*by_certainty[:10], *by_certainty[-10:]} <= set(chosen)


def test_sample_is_ordered_by_uncertainty_and_equal_for_equal_seeds():
    uncertainty, hit = make_queries()
    chosen = sample_queries(uncertainty, hit, 80, seed=1)
    assert (np.diff(uncertainty[chosen]) > 0).all()
    assert chosen.tolist() == sample_queries(uncertainty, hit, 80, seed=1).tolist()
    assert chosen.tolist() != sample_queries(uncertainty, hit, 80, seed=2).tolist()


@pytest.mark.parametrize("n", [1, 7, 8, 63, 64, 99, 100, 1000])
@pytest.mark.parametrize("share_of_hits", [0, 0.02, 1])
def test_sample_has_the_asked_size_also_with_few_hits_or_misses(n, share_of_hits):
    uncertainty = np.arange(100) % 7
    hit = np.arange(100) < 100 * share_of_hits
    assert len(set(sample_queries(uncertainty, hit, n, seed=0))) == min(n, 100)


def test_sentence_says_how_the_queries_were_chosen():
    assert describe_sample(300, 2000, 300, 7, "Max softmax") == (
        "300 of 2,000 queries: by Max softmax, the 37 most and the 37 least certain hits, likewise misses (fewer where "
        "there are not as many), and a random sample of the others (seed 7)."
    )
    assert describe_sample(120, 2000, 300, 7, "X").endswith(
        "Fewer than the declared 300, so that the page stays below its size limit."
    )
    assert describe_sample(7, 2000, 7, 0, "X") == "7 of 2,000 queries, drawn with seed 0."
