"""The simulated searches have the accuracy and AUROC that they claim, and their thresholds the promised precision."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from bench.label_simulation import SEARCHES, Search, auroc, log_odds, mapping_error, run, simulate
from bench.sizes import QUICK


@pytest.mark.parametrize("search", SEARCHES)
def test_search_has_its_accuracy_and_auroc(search):
    a, b = log_odds(search)
    rng = np.random.default_rng(0)
    score = rng.normal(size=100_000)
    hit = rng.random(len(score)) < expit(a + b * score)
    assert hit.mean() == pytest.approx(search.accuracy, abs=0.006)
    assert roc_auc_score(hit, score) == pytest.approx(search.auroc, abs=0.006)


def test_auroc_of_few_queries_equals_its_definition():
    chance = np.array([0.9, 0.6, 0.2])
    pairs = [(chance[i] * (1 - chance[j]), 1.0 if i < j else 0.5 * (i == j)) for i in range(3) for j in range(3)]
    assert auroc(chance) == pytest.approx(sum(w * v for w, v in pairs) / sum(w for w, _ in pairs))


def test_more_labels_answer_more_queries_and_keep_the_promise():
    few, many = (simulate(Search(0.8, 0.85), n, 0.9, 60) for n in (100, 1000))
    assert few["found"] < many["found"] == 1
    assert 0.9 * many["oracle"] > many["coverage"] > few["coverage"]
    assert many["violated"] <= 0.15  # 0.05 and three standard errors
    assert few["oracle"] == many["oracle"]


def test_accuracy_above_the_target_lets_the_oracle_answer_everything():
    assert simulate(Search(0.8, 0.85), 100, 0.7, 2)["oracle"] == 1


def test_error_of_the_mapping_falls_with_the_root_of_the_labels():
    few, many = (mapping_error(Search(0.55, 0.88), n, 30) for n in (100, 1600))
    assert many == pytest.approx(few / 4, rel=0.35)


def test_quick_run_has_a_row_per_search_number_of_labels_and_target():
    [table] = run(QUICK).tables.values()
    assert len(table) == 3 * 6 * 3
    assert table["coverage"].between(0, 1).all()
