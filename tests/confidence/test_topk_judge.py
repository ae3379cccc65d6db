"""The judge of a search engine: lists of ids and scores in, answers out, without gallery and torch."""

import subprocess
import sys
import warnings

import faiss
import numpy as np
import pytest

import overtop
from overtop.confidence.answering import COLUMNS
from overtop.confidence.topk_estimators import TOPK_ESTIMATORS
from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import compute_uncertainty
from overtop.retrieval.approximate import search
from overtop.retrieval.temperature import Temperatures
from overtop.retrieval.truncated import probability_interval, truncated_softmax
from overtop.storage.shards import ArraySource

K = 20
TEMPERATURE = 0.05


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def engine_case(n_queries=400, n_items=300, seed=0, dims=32):
    """Unit vectors of a gallery and of queries of random difficulty, and the right item of each query."""
    rng = np.random.default_rng(seed)
    gallery = rng.normal(size=(n_items, dims))
    right = rng.integers(n_items, size=n_queries)
    noise = rng.normal(size=(n_queries, dims)) * rng.uniform(0.2, 3, size=(n_queries, 1))
    return unit(gallery), unit(gallery[right] + noise), right


def search_faiss(index, gallery, queries, k=K):
    index.add(gallery)
    scores, ids = index.search(queries, k)
    return ids, scores


@pytest.fixture(scope="module")
def engine():
    """Ids and scores of a FAISS index of inner products, and the right item of each query."""
    gallery, queries, right = engine_case()
    return *search_faiss(faiss.IndexFlatIP(32), gallery, queries), right


def fit(ids, scores, relevant=None, **arguments):
    """`fit_topk` with the temperature of these vectors and without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return overtop.fit_topk(ids, scores, relevant, **{"temperature": TEMPERATURE, "precision": 0.8} | arguments)


@pytest.mark.parametrize("group_size", [1, 3])
def test_uncertainties_equal_those_of_a_search_with_as_many_items(group_size):
    gallery, queries, right = engine_case()
    groups = np.arange(len(gallery)) // group_size
    ids, scores = search_faiss(faiss.IndexFlatIP(32), gallery, queries, k=K + 16)  # `search` has 16 spare items
    ranking = search(
        ArraySource([gallery]), ArraySource([queries]), K, temperatures=[TEMPERATURE], groups={"t2i": groups},
        directions=["t2i"],
    )["t2i"]  # fmt: skip
    inputs = EstimatorInputs(ranking, temperatures=Temperatures(TEMPERATURE, TEMPERATURE))
    for name in TOPK_ESTIMATORS:
        judge = fit(ids, scores, right, estimator=name, groups=groups, n_gallery=len(gallery))
        answers = judge(ids, scores)
        expected = compute_uncertainty(name, inputs, "corrected")
        if name == "entropy":  # divided by that of the listed items, instead of the gallery
            expected = expected * np.log(len(np.unique(groups))) / np.log(K + 16)
        np.testing.assert_allclose(answers["uncertainty"], expected, atol=2e-5)
        assert (answers["top1"] == ranking.top_ids[:, 0]).all()
        np.testing.assert_allclose(answers["similarity"], ranking.top_scores[:, 0], atol=1e-6)
    probability = np.exp(-ranking.group_log_partition[:, 0])
    low, _ = probability_interval(ranking.group_log_partition[:, 0], ranking.truncation_bound[:, 0])
    np.testing.assert_allclose(answers["p_bound"], probability - low, atol=2e-5)


def test_answers_have_the_columns_of_a_judge_and_the_bound(engine):
    ids, scores, right = engine
    judge = fit(ids, scores, right, n_gallery=300)
    answers = judge(ids[:5], scores[:5], query_ids=list("abcde"))
    assert list(answers) == [*COLUMNS, "p_bound"]
    assert answers["query"].tolist() == list("abcde")
    assert answers["top1"].tolist() == ids[:5, 0].tolist()
    softmax = truncated_softmax(scores[:5], 300, TEMPERATURE)
    low, _ = probability_interval(softmax.neg_log_probability, softmax.bound)
    np.testing.assert_allclose(answers["p_bound"], np.exp(-softmax.neg_log_probability) - low)
    assert (answers["p_bound"] > 0).all()
    assert repr(judge) == f"<TopkJudge: max_softmax, {judge.model.mapping.kind}, 400 labelled queries, best 20 items>"


def test_promise_is_kept_on_new_queries(engine):
    ids, scores, right = engine
    judge = fit(ids, scores, right, n_gallery=300)
    gallery, new_queries, new_right = engine_case(n_queries=4000)
    ids, scores = search_faiss(faiss.IndexFlatIP(32), gallery, new_queries)
    answers = judge(ids, scores)
    acted = answers["act"].to_numpy()
    hit = ids[:, 0] == new_right
    assert 0.2 < acted.mean() < 1
    assert hit[acted].mean() >= 0.8
    assert abs(answers["p_right"].mean() - hit.mean()) < 0.05
    promise = judge.promise()
    assert "at least 80 % of the answers that are acted on are right" in promise
    assert promise.endswith("searched by the same engine for the best 20 items")


@pytest.mark.parametrize("metric", ["l2", "elasticsearch"])
def test_scores_of_other_engines_give_the_same_answers(engine, metric):
    ids, scores, right = engine
    judge = fit(ids, scores, right)
    if metric == "l2":
        gallery, queries, _ = engine_case()
        ids, others = search_faiss(faiss.IndexFlatL2(32), gallery, queries)
    else:
        others = (1 + scores) / 2
    converted = fit(ids, others, right, metric=metric)
    assert converted.metric == metric
    expected, answers = judge(engine[0], scores), converted(ids, others)
    np.testing.assert_allclose(answers["similarity"], expected["similarity"], atol=1e-6)
    np.testing.assert_allclose(answers["uncertainty"], expected["uncertainty"], atol=1e-4)
    assert (answers["act"] == expected["act"]).mean() > 0.99


def test_inner_products_of_long_vectors_need_a_temperature(engine):
    ids, scores, right = engine
    with pytest.raises(OvertopError, match=r"scores: query 0 has score .*outside of -1 to 1 .*metric='inner_product'"):
        fit(ids, 100 * scores, right)
    with pytest.raises(OvertopError, match=r"temperature: is needed with metric='inner_product'"):
        fit(ids, 100 * scores, right, metric="inner_product", temperature=None)
    judge = fit(ids, 100 * scores, right, metric="inner_product", temperature=100 * TEMPERATURE)
    expected = fit(ids, scores, right)(ids, scores)
    np.testing.assert_allclose(judge(ids, 100 * scores)["uncertainty"], expected["uncertainty"], atol=1e-4)


def as_names(ids):
    return [[f"item-{item}" for item in row] for row in ids.tolist()]


def test_strings_and_lists_give_the_answers_of_integers_and_arrays(engine):
    ids, scores, right = engine
    judge = fit(as_names(ids), scores.tolist(), [f"item-{item}" for item in right])
    expected, answers = fit(ids, scores, right)(ids, scores), judge(as_names(ids), scores.tolist())
    assert answers["top1"].tolist() == [f"item-{item}" for item in ids[:, 0]]
    np.testing.assert_allclose(answers["uncertainty"], expected["uncertainty"], atol=1e-12)
    assert (answers["act"] == expected["act"]).all()


def test_one_query_may_be_given_as_one_list(engine):
    ids, scores, right = engine
    judge = fit(ids, scores, right)
    for row, of_row in ((ids[3], scores[3]), (ids[3].tolist(), scores[3].tolist())):
        assert judge(row, of_row)["top1"].tolist() == [ids[3, 0]]


def test_lists_are_cut_to_the_shortest_labelled_one(engine):
    ids, scores, right = engine
    lengths = np.random.default_rng(0).integers(8, K, size=len(ids))
    lengths[5] = 7
    ragged = [row[:n] for row, n in zip(ids.tolist(), lengths, strict=True)]
    of_ragged = [row[:n] for row, n in zip(scores.tolist(), lengths, strict=True)]
    judge = fit(ragged, of_ragged, right)
    assert judge.top == 7
    expected = fit(ids[:, :7], scores[:, :7], right)(ids[:, :7], scores[:, :7])
    np.testing.assert_allclose(judge(ids, scores)["uncertainty"], expected["uncertainty"], atol=1e-12)
    with pytest.raises(
        OvertopError, match=r"ids: query 0 has 6 items, but the judge needs 7 \(400 such queries\); ask"
    ):
        judge(ids[:, :6], scores[:, :6])
    with pytest.raises(OvertopError, match=r"ids: query 5 has 7 items, but the judge needs 8; ask the engine for more"):
        fit(ragged, of_ragged, right, top=8)


def test_short_list_of_an_unlabelled_query_does_not_count(engine):
    ids, scores, right = engine
    ids, right = ids.copy(), right.copy()
    ids[5, 3:], right[5] = -1, -1
    assert fit(ids, scores, right).top == K


@pytest.mark.parametrize("index", [faiss.IndexFlatIP, faiss.IndexFlatL2])
def test_items_that_faiss_did_not_find_end_a_list(index):
    """FAISS fills a list of more items than the gallery has with the id -1 and the largest float."""
    gallery, queries, right = engine_case(n_items=12)
    ids, scores = search_faiss(index(32), gallery, queries, k=K)
    assert (ids[:, 12:] == -1).all()
    metric = "cosine" if index is faiss.IndexFlatIP else "l2"
    judge = fit(ids, scores, right, metric=metric, n_gallery=12)
    assert judge.top == 12
    answers = judge(ids, scores)
    np.testing.assert_array_equal(answers["p_bound"], 0.0)
    expected = fit(ids[:, :12], scores[:, :12], right, metric=metric)(ids[:, :12], scores[:, :12])
    np.testing.assert_allclose(answers["uncertainty"], expected["uncertainty"], atol=1e-12)


def test_list_of_the_whole_gallery_may_be_shorter_than_the_others(engine):
    """A gallery that has lost items since the judge was fitted is another one, but its lists are complete."""
    ids, scores, right = engine
    judge = fit(ids, scores, right, n_gallery=K)
    assert judge.top == K
    assert fit(ids, scores, right, n_gallery=300)(ids, scores)["p_bound"].min() > 0
    assert judge(ids, scores)["p_bound"].max() == 0


def test_unknown_size_of_the_gallery_gives_no_bound(engine):
    ids, scores, right = engine
    judge = fit(ids, scores, right)
    assert judge(ids, scores)["p_bound"].isna().all()
    assert "items)" not in judge.promise()


@pytest.mark.parametrize("with_groups", [False, True])
def test_saved_judge_gives_the_same_answers(engine, tmp_path, with_groups):
    ids, scores, right = engine
    groups = {"groups": {item: item // 3 for item in range(300)}} if with_groups else {}
    judge = fit(ids, scores, right, n_gallery=300, precision=[0.8, 0.6], **groups)
    judge.save(tmp_path / "trust.json")
    loaded = overtop.load_topk(tmp_path / "trust.json", **groups)
    assert (loaded.top, loaded.metric, loaded.model) == (K, "cosine", judge.model)
    for precision in (None, 0.6):
        answers, expected = loaded(ids, scores, precision=precision), judge(ids, scores, precision=precision)
        assert answers.equals(expected)
    with pytest.raises(OvertopError, match="groups; (give the same|leave out) groups"):
        overtop.load_topk(tmp_path / "trust.json", **({} if with_groups else {"groups": {1: 2}}))


def test_model_of_a_gallery_and_model_of_lists_are_not_exchangeable(engine, tmp_path):
    ids, scores, right = engine
    gallery, queries, _ = engine_case()
    fit(ids, scores, right).save(tmp_path / "topk.json")
    with pytest.raises(OvertopError, match=r"topk\.json: .*load_topk"):
        overtop.load(tmp_path / "topk.json", gallery)
    overtop.fit(gallery, queries, right, temperature=TEMPERATURE, precision=0.8).save(tmp_path / "gallery.json")
    with pytest.raises(OvertopError, match=r"gallery\.json: was not fitted to lists .*use overtop\.load"):
        overtop.load_topk(tmp_path / "gallery.json")


def test_labels_name_one_or_several_items_or_none(engine):
    ids, scores, _ = engine
    relevant = [
        ids[0, 0],
        [ids[1, 5], ids[1, 0]],
        [],
        [ids[3, 1]],
        -1,
        None,
        np.nan,
        np.array([ids[7, 0]]),
        *ids[8:, 0],
    ]
    judge = fit(ids, scores, relevant)
    assert judge.model.n_queries == len(ids) - 3
    assert judge.model.n_hits == judge.model.n_queries - 2
    same_group = fit(ids, scores, relevant, groups={ids[3, 0]: "a", ids[3, 1]: "a"})
    assert same_group.model.n_hits == judge.model.n_hits + 1


def test_groups_do_not_compete(engine):
    ids, scores, right = engine
    pair = {int(ids[0, 0]): "a", int(ids[0, 1]): "a"}
    together, apart = (fit(ids, scores, right, estimator="margin", groups=groups) for groups in (pair, None))
    expected = 1 - (scores[0, 0] - scores[0, 2]), 1 - (scores[0, 0] - scores[0, 1])
    found = [judge(ids[:1], scores[:1])["uncertainty"][0] for judge in (together, apart)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_ties_at_the_top_are_a_warning_unless_they_are_of_one_group(engine):
    ids, scores, right = engine
    scores = scores.copy()
    scores[0, 1] = scores[0, 0]
    assert fit(ids, scores, right)(ids, scores)["warning"][0].endswith("2 gallery items are tied for the top-1")
    judge = fit(ids, scores, right, groups={ids[0, 0]: "a", ids[0, 1]: "a"})
    assert "tied" not in judge(ids, scores)["warning"][0]


def test_without_labels_nothing_is_promised(engine):
    ids, scores, _ = engine
    judge = fit(ids, scores, n_gallery=300)
    assert judge.promise().startswith("no labels: nothing is promised")
    with pytest.warns(UserWarning, match="may be too large by up to"):
        answers = judge(ids, scores)
    assert not answers["act"].any()
    np.testing.assert_allclose(answers["p_right"], 1 - answers["uncertainty"])
    with pytest.warns(UserWarning, match="by an unknown amount: give n_gallery"):
        answers = fit(ids, scores)(ids, scores, coverage=0.25)
    assert answers["act"].sum() == 100
    assert answers["uncertainty"][answers["act"]].max() <= answers["uncertainty"][~answers["act"]].min()
    for arguments in ({"estimator": "auto"}, {"mapping": "logistic"}):
        with pytest.raises(OvertopError, match="without labels no estimator or mapping can be chosen"):
            fit(ids, scores, **arguments)


def test_estimator_is_chosen_on_request(engine):
    ids, scores, right = engine
    assert fit(ids, scores, right).model.estimator == "max_softmax"
    model = fit(ids, scores, right, estimator="auto").model
    assert set(model.nll_by_estimator) == set(TOPK_ESTIMATORS)
    assert model.n_threshold_queries == 267
    assert fit(ids, scores, right, estimator=["margin", "entropy"]).model.estimator in ("margin", "entropy")
    with pytest.raises(OvertopError, match="estimator: 'bank_nnn' cannot be computed from the best items"):
        fit(ids, scores, right, estimator="bank_nnn")


def test_labels_of_other_ids_are_a_warning(engine):
    ids, scores, right = engine
    with pytest.warns(UserWarning, match="no top-1 of 400 labelled queries is right; are these the ids of the engine"):
        overtop.fit_topk(ids, scores, right + 1000, temperature=TEMPERATURE)


def test_gallery_of_one_item(engine):
    scores = np.array([[0.3], [0.2], [0.1]])
    ids = np.zeros((3, 1), dtype=int)
    judge = fit(ids, scores, [0, 0, []], n_gallery=1)
    with pytest.warns(UserWarning, match="the gallery has one item"):
        answers = judge(ids, scores)
    assert answers["uncertainty"].tolist() == [0.0] * 3
    assert answers["p_bound"].tolist() == [0.0] * 3
    with pytest.raises(OvertopError, match="has 1 items, so that the judge would use 1; it needs at least 2"):
        fit(ids, scores, [0, 0, []])


def changed(array, place, value):
    array = np.array(array)
    array[place] = value
    return array


IDS = np.arange(12).reshape(3, 4)
SCORES = np.tile([0.4, 0.3, 0.2, 0.1], (3, 1))


@pytest.mark.parametrize(
    ("ids", "scores", "relevant", "arguments", "message"),
    [
        (IDS, SCORES, [0, 4], {}, "relevant: has 2 entries for 3 queries"),
        (IDS, SCORES, 3, {}, "relevant: give one id, or a list of ids, for each query"),
        (IDS, SCORES, [-1, None, -1], {}, "relevant: all 3 queries are unlabelled"),
        (IDS, SCORES, [0, "a", 8], {}, "relevant: query 1 has 'a', which is a string, but the ids .* are integers"),
        (as_names(IDS), SCORES, ["item-0", 4, "b"], {}, "relevant: query 1 has 4, which is a number, but .* strings"),
        (IDS, SCORES, [[0, -1], 4, 8], {}, "relevant: query 0 has -1 in a list; use -1 or None alone"),
        (IDS, SCORES[:, :3], [0, 4, 8], {}, r"scores: have shape \(3, 3\), and ids \(3, 4\)"),
        (IDS.tolist(), SCORES[:2].tolist(), [0, 4, 8], {}, "scores: has 2 lists, and ids 3; give one per query"),
        ([[1, 2], [3]], [[0.2, 0.1], [0.2, 0.1]], [1, 3], {}, "scores: query number 1 has 2 scores and 1 ids"),
        (IDS, changed(SCORES, (1, 2), np.nan), [0, 4, 8], {}, "scores: query 1 has a score that is NaN or infinite"),
        (IDS, changed(SCORES, (2, 0), np.inf), [0, 4, 8], {}, "scores: query 2 has a score that is NaN or infinite"),
        (IDS, SCORES[:, ::-1], [0, 4, 8], {}, r"query 0 is not sorted, best first \(3 such queries\); .*metric='l2'"),
        (IDS, SCORES, [0, 4, 8], {"metric": "l2"}, "scores: query 0 is not sorted, best first"),
        (IDS, 20 * SCORES[:, ::-1], [0, 4, 8], {"metric": "l2"}, "has score 6, outside of 0 to 4 .*of length 1"),
        (IDS, 9 * SCORES, [0, 4, 8], {"metric": "elasticsearch"}, "has score 3.6, outside of 0 to 1 .*dot_product"),
        (IDS, SCORES, [0, 4, 8], {"metric": "cosin"}, "metric: unknown 'cosin'; did you mean 'cosine'"),
        (changed(IDS, (1, 3), 4), SCORES, [0, 4, 8], {}, "ids: query 1 has item 4 twice; keep the better one"),
        (changed(IDS, (1, 1), -1), SCORES, [0, 4, 8], {}, "ids: query 1 has items after a missing one"),
        (changed(IDS, 1, -1), SCORES, [0, 4, 8], {}, "ids: query 1 has no items; leave such queries out"),
        ([], [], [], {}, "ids: there are no queries or no items"),
        (IDS + 0.5, SCORES, [0, 4, 8], {}, "ids: 0.5 is neither an integer nor a string"),
        ([[1, "a"]], [[0.2, 0.1]], [1], {}, "ids: some are strings and some are numbers"),
        (IDS, SCORES, [0, 4, 8], {"n_gallery": 0}, "n_gallery: is 0; give the number of items"),
        (IDS, SCORES, [0, 4, 8], {"n_gallery": 3}, "4 items were found in a gallery of 3"),
        (IDS, SCORES, [0, 4, 8], {"temperature": 0}, r"temperature: is 0\.0; give a number above 0"),
        (IDS, SCORES, [0, 4, 8], {"top": 1}, "query 0 has 4 items, so that the judge would use 1; it needs at least 2"),
        (IDS, SCORES, [0, 4, 8], {"groups": [0, 1]}, "groups: has 2 entries and none for item 4; give a dict of ids"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_with_the_place_and_the_fix(ids, scores, relevant, arguments, message):
    with pytest.raises(OvertopError, match=message) as error:
        fit(ids, scores, relevant, **arguments)
    assert "\n" not in str(error.value)


def test_names_of_queries_are_in_errors_and_must_be_as_many(engine):
    ids, scores, right = engine
    judge = fit(ids, scores, right)
    with pytest.raises(OvertopError, match="ids: query 'a cat' has 3 items, but the judge needs 20"):
        judge(ids[:1, :3], scores[:1, :3], query_ids=["a cat"])
    with pytest.raises(OvertopError, match="query_ids: has 1 names for 2 queries"):
        judge(ids[:2], scores[:2], query_ids=["a cat"])


def test_judge_of_an_engine_needs_no_torch(engine, tmp_path):
    ids, scores, right = engine
    fit(ids, scores, right).save(tmp_path / "trust.json")
    code = (
        "import sys, numpy as np, overtop\n"
        f"judge = overtop.load_topk({str(tmp_path / 'trust.json')!r})\n"
        f"judge(np.arange({K})[None], np.linspace(0.5, 0.1, {K})[None])\n"
        "overtop.fit_topk\n"
        "print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


def test_clip_embeddings_by_faiss_are_judged_as_by_the_exact_pass(mirror):
    """Half of the captions label, the others are new; the search engine returns 50 of 1,000 images."""
    embeddings = np.load(mirror / "embeddings" / "flickr8k_test_openai_clip_vitb32.npz")
    gallery, queries = unit(embeddings["image"]), unit(embeddings["text"])
    ids, scores = search_faiss(faiss.IndexFlatIP(512), gallery, queries, k=50)
    right, labelled = np.arange(1000), np.random.default_rng(0).permutation(1000)[:500]
    new = np.setdiff1d(right, labelled)
    judge = overtop.fit_topk(ids[labelled], scores[labelled], right[labelled], n_gallery=1000, precision=0.8)
    answers = judge(ids[new], scores[new])
    exact = overtop.fit(gallery, queries[labelled], right[labelled], precision=0.8)(queries[new])
    assert (answers["top1"] == exact["top1"]).all()
    assert np.corrcoef(answers["p_right"], exact["p_right"])[0, 1] > 0.99
    assert (answers["act"] == exact["act"]).mean() > 0.95
