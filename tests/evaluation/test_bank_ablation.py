"""The bank estimators with other banks and parameters, against plain loops over groups in float64."""

import math

import numpy as np
import pytest
from scipy.sparse import csr_array

from overtop.evaluation import bank_similarities
from overtop.evaluation.bank_ablation import (
    COLUMNS,
    EXPONENTS,
    NEAREST_COUNTS,
    SEEDS,
    SHRINKAGES,
    SIZES,
    Banks,
    Gallery,
    ablate_bank,
    compute_offsets,
)
from overtop.evaluation.bank_similarities import N_TOPICS, assign_topics, evaluated_queries
from overtop.evaluation.selective import measure_selective_prediction
from overtop.retrieval.exact import rank
from overtop.storage.shards import ArraySource
from overtop.storage.split import Split

TEMPERATURE = 0.05
GROUPS = np.array([0, 0, 1, 2, 2, 2, 3])


def make_gallery(rng, queries=40, groups=GROUPS):
    positives = np.zeros((queries, len(groups)), dtype=bool)
    positives[np.arange(queries), rng.integers(0, len(groups), queries)] = True
    return Gallery(rng.normal(0.2, 0.1, (queries, len(groups))), csr_array(positives), groups, TEMPERATURE)


def make_banks(rng, gallery, size=30, foreign=12):
    n_items = gallery.similarity.shape[1]
    return Banks(
        own=rng.normal(0.2, 0.1, (size, n_items)),
        other_modality=rng.normal(0.6, 0.1, (20, n_items)),
        foreign=rng.normal(0.1, 0.1, (foreign, n_items)) if foreign else None,
        topic_of_bank=np.arange(size) % 3,
        topic_of_query=np.arange(len(gallery.similarity)) % 3,
    )


def loop_uncertainty(gallery, offsets):
    """One minus the probability of the group of each query's top-1, by plain loops."""
    values = []
    for scores in gallery.similarity.tolist():
        top1 = max(range(len(scores)), key=lambda j: (scores[j], -j))
        weights = [math.exp((s - o) / gallery.temperature) for s, o in zip(scores, offsets, strict=True)]
        same = sum(w for w, group in zip(weights, gallery.groups, strict=True) if group == gallery.groups[top1])
        values.append(1 - same / sum(weights))
    return values


def test_measures_are_of_the_probability_of_the_group_of_the_top1():
    rng = np.random.default_rng(0)
    gallery, offsets = make_gallery(rng), rng.normal(0.1, 0.05, len(GROUPS))
    expected = loop_uncertainty(gallery, offsets)
    np.testing.assert_allclose(gallery.uncertainty(offsets), expected, atol=1e-12)
    rows, positives = gallery.similarity.tolist(), gallery.positives.toarray()
    hit = [positives[q, np.argmax(row)] for q, row in enumerate(rows)]
    reranked = [positives[q, np.argmax(row - offsets)] for q, row in enumerate(rows)]
    selective = measure_selective_prediction(np.array(expected), np.array(hit), 0.9)
    assert gallery.measure(offsets) == pytest.approx(
        {"auroc": selective.auroc, "aurc": selective.aurc, "reranked_recall_at_1": np.mean(reranked)}
    )


def test_gallery_of_one_group_is_certain():
    gallery = make_gallery(np.random.default_rng(0), groups=np.zeros(4, dtype=int))
    assert gallery.uncertainty(np.zeros(4)).tolist() == [0.0] * 40


@pytest.mark.parametrize("size", [1, 5, 30])
def test_offsets_equal_plain_loops(size):
    bank = np.random.default_rng(0).normal(0.2, 0.1, (size, 4))
    softmax = compute_offsets("bank_softmax", bank, 0.02, exponent=0.25)
    nearest = compute_offsets("bank_nnn", bank, 0.02, nearest=5, shrinkage=0.9)
    for j in range(4):
        of_item = bank[:, j].tolist()
        assert softmax[j] == pytest.approx(0.25 * 0.02 * math.log(sum(math.exp(s / 0.02) for s in of_item)))
        best = sorted(of_item, reverse=True)[:5]
        assert nearest[j] == pytest.approx(0.9 * sum(best) / len(best))


@pytest.fixture(scope="module")
def results():
    rng = np.random.default_rng(1)
    gallery = make_gallery(rng)
    banks = make_banks(rng, gallery)
    return gallery, banks, ablate_bank(gallery, banks, seed=0)


def test_every_setting_is_measured(results):
    gallery, banks, table = results
    assert list(table) == COLUMNS
    counts = table.groupby(["estimator", "varied"]).size().to_dict()
    sizes = SEEDS * sum(size < len(banks.own) for size in SIZES) + 1
    sources = 6 + SEEDS
    assert counts == {
        ("bank_softmax", "size"): sizes,
        ("bank_softmax", "exponent"): len(EXPONENTS),
        ("bank_softmax", "source"): sources,
        ("bank_nnn", "size"): sizes,
        ("bank_nnn", "nearest"): len(NEAREST_COUNTS),
        ("bank_nnn", "shrinkage"): len(SHRINKAGES),
        ("bank_nnn", "source"): sources,
    }
    assert table.notna().all(axis=None)


def test_settings_of_the_estimators_give_the_same_numbers_in_every_panel(results):
    _, _, table = results
    own = {"exponent": "0.5", "nearest": "16", "shrinkage": "0.75", "size": "30", "source": "bank"}
    for _, rows in table.groupby("estimator"):
        same = rows[rows["value"] == rows["varied"].map(own)]
        assert len(same) >= 3
        assert same["auroc"].nunique() == same["aurc"].nunique() == 1


def test_no_bank_equals_exponent_and_shrinkage_zero(results):
    _, _, table = results
    none = table[
        (table["value"] == "none") | ((table["value"] == "0") & table["varied"].isin(["exponent", "shrinkage"]))
    ]
    assert len(none) == 4
    assert none["auroc"].nunique() == none["reranked_recall_at_1"].nunique() == 1


def test_query_of_a_missing_topic_has_the_bank_without_it(results):
    gallery, banks, table = results
    uncertainty = np.empty(len(gallery.similarity))
    for topic in range(3):
        offsets = compute_offsets("bank_nnn", banks.own[banks.topic_of_bank != topic], TEMPERATURE)
        queries = banks.topic_of_query == topic
        uncertainty[queries] = np.array(loop_uncertainty(gallery, offsets))[queries]
    hit = gallery.is_hit(gallery.similarity.argmax(axis=1))
    row = table[(table["estimator"] == "bank_nnn") & (table["value"] == "own topic missing")].iloc[0]
    assert row["auroc"] == pytest.approx(measure_selective_prediction(uncertainty, hit, 0.9).auroc)
    assert row["n_bank"] == 20


def test_bank_without_foreign_queries_or_topics_is_measured():
    rng = np.random.default_rng(2)
    gallery = make_gallery(rng)
    table = ablate_bank(gallery, make_banks(rng, gallery, size=5, foreign=0), seed=0)
    sources = table.loc[table["varied"] == "source", "value"]
    assert set(sources) == {"bank", "other modality", "none"}


@pytest.mark.filterwarnings("ignore:One of the clusters is empty")
def test_queries_belong_to_the_nearest_topic():
    rng = np.random.default_rng(0)
    bank = ArraySource([np.eye(12)[np.repeat(np.arange(4), 8)] + 0.01 * rng.normal(size=(32, 12))])
    of_bank, of_query = assign_topics(bank, ArraySource([3 * bank.read(0, 0, 32)]), seed=0)
    assert (of_bank == of_query).all()
    assert 1 < len(set(of_bank)) <= N_TOPICS


def test_evaluated_queries_have_a_known_match_and_the_gallery_is_whole():
    rng = np.random.default_rng(0)
    owners = np.array([0, 2, 2, -1, -1])
    split = Split([*"abcd"], [""] * 4, [*"12345"], [*"vwxyz"], owners)
    images, texts = rng.normal(size=(4, 3)), rng.normal(size=(5, 3))
    sources = ArraySource([images], split.image_ids), ArraySource([texts], split.caption_ids)
    units = [array / np.linalg.norm(array, axis=1, keepdims=True) for array in (images, texts)]
    for direction, known in (("t2i", [0, 1, 2]), ("i2t", [0, 2])):
        ranking = rank(*sources, top=2, directions=[direction])[direction]
        queries = evaluated_queries(direction, split, ranking, sources)
        gallery = bank_similarities.make_gallery(queries, ranking, TEMPERATURE)
        expected = units[1] @ units[0].T if direction == "t2i" else units[0] @ units[1].T
        np.testing.assert_allclose(gallery.similarity, expected[known], atol=1e-6)
        pairs = owners[:, None] == np.arange(4)
        np.testing.assert_array_equal(gallery.positives.toarray(), (pairs if direction == "t2i" else pairs.T)[known])
        banks = bank_similarities.make_banks(direction, queries, sources, None, 0)
        assert len(banks.topic_of_query) == len(known)
