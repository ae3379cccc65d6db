import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from overtop.errors import OvertopError
from overtop.estimators.transductive import TRANSDUCTIVE
from overtop.evaluation.thinning import MAX_SIMILARITIES, check_size, thin_queries

QUERIES = 60
SIZES = [10, 30, 60, 500]


@pytest.fixture(scope="module")
def thinned():
    rng = np.random.default_rng(0)
    similarity = rng.normal(0.2, 0.05, (QUERIES, QUERIES)) + np.diag(rng.uniform(0, 0.2, QUERIES))
    hit = similarity.argmax(axis=1) == np.arange(QUERIES)
    other = rng.normal(size=QUERIES) - hit
    table = thin_queries(similarity, hit, {"other": other}, SIZES, draws=3, temperature=0.05, seed=0)
    return similarity, hit, other, table


def test_every_size_below_all_queries_has_its_draws_and_all_queries_have_one(thinned):
    *_, table = thinned
    counts = table[table["transductive"]].groupby(["estimator", "n_queries"])["draw"].nunique()
    assert counts.to_dict() == {(name, size): n for name in TRANSDUCTIVE for size, n in ((10, 3), (30, 3), (60, 1))}
    assert not table.duplicated(["estimator", "n_queries", "draw"]).any()


def test_auroc_of_all_queries_is_that_of_the_definition(thinned):
    similarity, hit, other, table = thinned
    auroc = table[table["n_queries"] == QUERIES].set_index("estimator")["auroc"]
    assert auroc["other"] == pytest.approx(roc_auc_score(~hit, other))
    for name, estimate in TRANSDUCTIVE.items():
        assert auroc[name] == pytest.approx(roc_auc_score(~hit, estimate(similarity, 0.05)))


def test_estimators_of_single_queries_are_measured_once(thinned):
    *_, table = thinned
    assert table[~table["transductive"]][["estimator", "n_queries"]].to_numpy().tolist() == [["other", QUERIES]]


def test_subsets_are_reproducible_and_differ(thinned):
    similarity, hit, other, table = thinned
    again = thin_queries(similarity, hit, {"other": other}, SIZES, draws=3, temperature=0.05, seed=0)
    assert again.equals(table)
    small = table[(table["estimator"] == "dual_softmax") & (table["n_queries"] == 10)]
    assert small["aurc"].nunique() > 1


def test_matrix_beyond_the_limit_is_refused():
    check_size(MAX_SIMILARITIES // 1000, 1000)
    with pytest.raises(OvertopError, match=r"all 50,001 x 1,000 similarities at once; name a split with at most"):
        check_size(50_001, 1000)
