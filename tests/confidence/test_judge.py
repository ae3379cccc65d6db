import subprocess
import sys
import warnings

import numpy as np
import pytest

import overtop
from overtop.confidence.fitting import measure_calibration
from overtop.confidence.thresholds import guaranteed_threshold
from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import compute_uncertainty
from overtop.retrieval.exact import rank
from overtop.retrieval.prepared import prepare_gallery
from overtop.retrieval.temperature import Temperatures
from overtop.storage.json_files import read_json, write_json
from overtop.storage.shards import ArraySource

N, DIM = 200, 32
TEMPERATURE = 0.1


def noisy(rng, items, noise=4.0):
    """A query for each item; some are far from it."""
    return items + rng.normal(size=items.shape) * rng.uniform(0, noise, size=(len(items), 1))


@pytest.fixture(scope="module")
def data():
    """A gallery, labelled queries with the rows of their items, new queries, and a bank of other items' queries."""
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(N, DIM))
    rows = rng.integers(0, N, 300)
    new_rows = rng.integers(0, N, 150)
    bank = noisy(rng, rng.normal(size=(60, DIM)))
    return gallery, noisy(rng, gallery[rows]), rows, noisy(rng, gallery[new_rows]), bank


def fit(data, **settings):
    return overtop.fit(*data[:3], **({"precision": 0.8, "temperature": TEMPERATURE} | settings))


def softmax(data, queries):
    """Probability of the top-1 and its row, in plain float64."""
    gallery, queries = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (data[0], np.atleast_2d(queries)))
    similarity = queries @ gallery.T
    weights = np.exp((similarity - similarity.max(axis=1, keepdims=True)) / TEMPERATURE)
    return (weights / weights.sum(axis=1, keepdims=True)).max(axis=1), similarity.argmax(axis=1), similarity.max(axis=1)


def assert_same_answers(first, second):
    assert first["top1"].tolist() == second["top1"].tolist()
    assert first["act"].tolist() == second["act"].tolist()
    np.testing.assert_allclose(first["p_right"], second["p_right"], rtol=1e-4, atol=1e-6)


def test_answers_are_those_of_a_plain_softmax_and_its_threshold(data):
    judge = fit(data)
    p, top1, _ = softmax(data, data[1])
    expected = guaranteed_threshold(1 - p, top1 == data[2], 0.8, 0.95)
    assert np.isfinite(expected)
    assert judge.model.threshold(0.8).threshold == pytest.approx(expected, abs=1e-5)
    answers = judge(data[3])
    p, top1, similarity = softmax(data, data[3])
    assert answers["top1"].tolist() == top1.tolist()
    assert answers["query"].tolist() == list(range(150))
    np.testing.assert_allclose(answers["similarity"], similarity, atol=1e-5)
    np.testing.assert_allclose(answers["uncertainty"], 1 - p, atol=1e-4)
    np.testing.assert_array_equal(answers["act"], answers["uncertainty"] < judge.model.threshold(0.8).threshold)
    assert (judge.model.estimator, judge.model.n_hits) == ("max_softmax", (softmax(data, data[1])[1] == data[2]).sum())


def test_lengths_and_types_of_embeddings_do_not_matter(data):
    gallery, queries, rows, new, _ = data
    scale = np.random.default_rng(1).uniform(0.1, 10, size=(N, 1))
    judge = overtop.fit((gallery * scale).astype(np.float32), queries.tolist(), rows, precision=0.8, temperature=0.1)
    assert_same_answers(judge(3 * new), fit(data)(new))


def test_one_query_is_one_row(data):
    judge = fit(data)
    assert_same_answers(judge(data[3][5]), judge(data[3]).iloc[[5]])


def test_embeddings_may_be_sources_files_and_prepared_galleries(data, tmp_path):
    gallery, queries, rows, new, _ = data
    expected = fit(data)(new)
    for name, array in {"gallery": gallery, "queries": queries, "new": new}.items():
        np.save(tmp_path / f"{name}.npy", array.astype(np.float32))
    prepare_gallery(ArraySource([gallery]), tmp_path / "prepared", temperature=TEMPERATURE)
    for given in (ArraySource([gallery]), str(tmp_path / "gallery.npy"), tmp_path / "prepared"):
        judge = overtop.fit(given, tmp_path / "queries.npy", rows, precision=0.8, temperature=TEMPERATURE)
        assert_same_answers(judge(tmp_path / "new.npy"), expected)
        assert_same_answers(judge(ArraySource([new])), expected)


def test_samples_of_a_posterior_are_averaged(data):
    gallery, queries, rows, new, _ = data
    rng = np.random.default_rng(2)

    def samples(x):
        return np.stack([x + 0.1 * rng.normal(size=x.shape) for _ in range(3)])

    galleries, all_new = samples(gallery), samples(new)
    judge = overtop.fit(galleries, samples(queries), rows, precision=0.8, temperature=TEMPERATURE)
    unit_gallery, unit_new = (x / np.linalg.norm(x, axis=2, keepdims=True) for x in (galleries, all_new))
    similarity = np.einsum("sqd,snd->qn", unit_new, unit_gallery) / 3
    np.testing.assert_allclose(judge(all_new)["similarity"], similarity.max(axis=1), atol=1e-5)


def test_one_labelled_query_needs_no_list(data):
    with pytest.warns(UserWarning, match="from 1 labelled query: at least 5 are needed"):
        judge = overtop.fit(data[0], data[0][3] + 0.01, 3, precision=np.float32(0.5))
    assert (judge.model.n_queries, judge.model.n_hits) == (1, 1)


def test_several_precisions_have_their_own_thresholds_and_the_first_is_the_default(data):
    judge = fit(data, precision=[0.8, 0.6])
    assert judge(data[3], precision=0.6)["act"].sum() > judge(data[3])["act"].sum() > 0
    assert judge(data[3], precision=0.8)["act"].tolist() == judge(data[3])["act"].tolist()
    assert "at least 60 %" in judge.promise(0.6)


def test_unlabelled_queries_are_left_out(data):
    gallery, queries, rows, _, _ = data
    is_labelled = np.arange(300) % 3 > 0
    partly = overtop.fit(gallery, queries, np.where(is_labelled, rows, -1), precision=0.8, temperature=TEMPERATURE)
    alone = overtop.fit(gallery, queries[is_labelled], rows[is_labelled], precision=0.8, temperature=TEMPERATURE)
    assert partly.model == alone.model
    assert partly.model.n_queries == 200


def test_queries_without_a_match_are_misses(data):
    gallery, queries, rows, _, _ = data
    judge = overtop.fit(gallery, queries, [[row] if row % 2 else [] for row in rows], temperature=TEMPERATURE)
    hit = softmax(data, queries)[1] == rows
    assert (judge.model.n_queries, judge.model.n_hits) == (300, (hit & (rows % 2 == 1)).sum())


def test_any_of_several_relevant_items_is_right(data):
    gallery, queries, rows, _, _ = data
    top1 = softmax(data, queries)[1]
    labels = [[row, top1[number]] if number < 50 else [row] for number, row in enumerate(rows)]
    judge = overtop.fit(gallery, queries, labels, temperature=TEMPERATURE)
    assert judge.model.n_hits == (top1 == rows)[50:].sum() + 50


def test_names_of_items_label_queries_and_appear_in_answers(data):
    gallery, queries, rows, new, _ = data
    names = [f"photo-{row}.jpg" for row in range(N)]
    judge = fit(data, ids=names)
    named = overtop.fit(gallery, queries, [names[row] for row in rows], ids=names, precision=0.8, temperature=0.1)
    assert named.model == judge.model
    answers = judge(new[:3], ids=["a", "b", "c"])
    assert answers["query"].tolist() == ["a", "b", "c"]
    assert answers["top1"].tolist() == [names[row] for row in softmax(data, new[:3])[1]]


def test_duplicate_of_a_relevant_item_is_right_and_warned_about(data):
    gallery, queries, rows, new, _ = data
    twice = np.concatenate([gallery, gallery])
    judge = overtop.fit(twice, queries, rows + N, precision=0.8, temperature=TEMPERATURE)
    assert judge.model.n_hits == fit(data).model.n_hits
    answers = judge(new)
    assert answers["warning"].str.contains("2 gallery items are tied for the top-1").all()
    np.testing.assert_allclose(answers["uncertainty"], fit(data)(new)["uncertainty"], atol=1e-6)


def test_items_of_a_group_do_not_compete_and_are_right_together(data):
    gallery, queries, rows, new, _ = data
    rng = np.random.default_rng(3)
    captions = np.repeat(gallery, 2, axis=0) + 0.3 * rng.normal(size=(2 * N, DIM))
    groups = np.repeat(np.arange(N), 2)
    grouped = overtop.fit(captions, queries, 2 * rows, groups=groups, precision=0.8, temperature=TEMPERATURE)
    single = overtop.fit(captions, queries, 2 * rows, precision=0.8, temperature=TEMPERATURE)
    assert grouped.model.n_hits > single.model.n_hits
    assert (grouped(new)["uncertainty"] < single(new)["uncertainty"]).all()


def test_bank_gives_the_bank_estimator_and_the_uncertainty_of_the_ranking(data):
    gallery, queries, rows, new, bank = data
    judge = fit(data, bank=bank)
    assert (judge.model.estimator, judge.model.facts.bank["size"]) == ("bank_nnn", 60)
    prepared = prepare_gallery(ArraySource([gallery]), bank=ArraySource([bank]), temperature=TEMPERATURE)
    ranking = rank(
        ArraySource([gallery]), ArraySource([new]), top=5, temperatures=[TEMPERATURE], directions=["t2i"],
        normalisations={"t2i": prepared.normalisation},
    )["t2i"]  # fmt: skip
    inputs = EstimatorInputs(ranking, temperatures=Temperatures(softmax=TEMPERATURE))
    np.testing.assert_allclose(judge(new)["uncertainty"], compute_uncertainty("bank_nnn", inputs, "corrected"))
    assert fit(data, bank=bank, estimator="margin").model.estimator == "margin"


def test_auto_compares_all_estimators_that_the_ranking_allows(data):
    with_bank, without = fit(data, bank=data[4], estimator="auto"), fit(data, estimator="auto")
    assert set(with_bank.model.nll_by_estimator) - set(without.model.nll_by_estimator) == {"bank_nnn", "bank_softmax"}
    assert without.model.n_threshold_queries == 200
    named = fit(data, estimator=["margin", "gap_50"])
    assert set(named.model.nll_by_estimator) == {"margin", "gap_50"}


def test_judge_is_loaded_as_it_was_saved(data, tmp_path):
    judge = fit(data, bank=data[4], precision=[0.8, 0.99], encoder="ViT-B-32")
    judge.save(tmp_path / "trust.json")
    loaded = overtop.load(tmp_path / "trust.json", data[0], bank=data[4])
    assert loaded.model == judge.model
    assert_same_answers(loaded(data[3]), judge(data[3]))
    assert loaded.promise() == judge.promise()
    assert "the encoder ViT-B-32" in loaded.promise()
    assert repr(loaded) == f"<Judge: bank_nnn, {judge.model.mapping.kind}, 300 labelled queries, gallery of 200 items>"


def test_other_gallery_answers_without_a_promise(data, tmp_path):
    fit(data).save(tmp_path / "trust.json")
    judge = overtop.load(tmp_path / "trust.json", data[0][:-1])
    assert judge.promise().startswith("nothing is promised: the model was fitted with another gallery")
    with pytest.warns(UserWarning, match="not the gallery that the confidence model was fitted with"):
        assert len(judge(data[3])) == 150


def test_without_labels_queries_are_only_ranked(data):
    gallery, _, _, new, bank = data
    judge = overtop.fit(gallery, bank=bank, temperature=TEMPERATURE)
    answers = judge(new)
    assert not answers["act"].any()
    np.testing.assert_allclose(answers["p_right"], 1 - answers["uncertainty"])
    covered = judge(new, coverage=0.8)
    assert covered["act"].sum() == 120
    assert covered["uncertainty"][covered["act"]].max() < covered["uncertainty"][~covered["act"]].min()
    assert judge.promise().startswith("no labels: nothing is promised")
    assert "queries_to_label" in judge.promise()
    assert (judge.model.estimator, overtop.fit(gallery).model.estimator) == ("bank_nnn", "max_softmax")
    with pytest.raises(OvertopError, match="made without labels and has no thresholds"):
        judge(new, precision=0.9)


def test_queries_unlike_the_labelled_ones_are_warned_about(data):
    judge = fit(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge(data[3])
    with pytest.warns(UserWarning, match="unlike the labelled ones: their similarities are lower"):
        answers = judge(np.random.default_rng(4).normal(size=(100, DIM)))
    assert answers["warning"].str.contains("is below that of").any()


def test_gallery_of_one_item_is_warned_about(data):
    gallery, queries, rows, new, _ = data
    judge = overtop.fit(gallery[:1], queries, [0 if row == 0 else [] for row in rows])
    with pytest.warns(UserWarning, match="the gallery has one item"):
        answers = judge(new[:2])
    assert answers["top1"].tolist() == [0, 0]
    with pytest.warns(UserWarning, match="the gallery has one item"):
        assert overtop.fit(gallery[:1])(new[:1])["p_right"].tolist() == [1.0]


def _with(array, row, value):
    changed = array.copy()
    changed[row] = value
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g, q, r, b: {"queries": q[:-1]}, "relevant: has 300 entries for 299 queries; give one per query"),
        (
            lambda g, q, r, b: {"relevant": _with(r, 7, N)},
            "relevant: query number 7 has row 200, but the gallery has ro",
        ),
        (lambda g, q, r, b: {"relevant": np.full(300, -1)}, "relevant: all 300 queries are unlabelled; label some"),
        (lambda g, q, r, b: {"relevant": None}, "relevant: is missing; give queries and relevant together"),
        (lambda g, q, r, b: {"queries": None}, "queries: is missing; give queries and relevant together"),
        (lambda g, q, r, b: {"queries": q[:0], "relevant": []}, r"queries: is empty \(shape \(0, 32\)\)"),
        (
            lambda g, q, r, b: {"queries": _with(q, 9, np.nan)},
            "queries: the embedding of item '9' .* is zero or not fin",
        ),
        (lambda g, q, r, b: {"queries": _with(q, 9, 0)}, "queries: the embedding of item '9' .* is zero or not finite"),
        (
            lambda g, q, r, b: {"gallery": _with(g, 4, np.inf)},
            "gallery: the embedding of item '4' .* is zero or not fin",
        ),
        (lambda g, q, r, b: {"gallery": g[:0]}, "gallery: is empty"),
        (
            lambda g, q, r, b: {"gallery": g[:, :16]},
            r"queries: queries have samples of dimensions \(32,\), the gallery",
        ),
        (lambda g, q, r, b: {"gallery": g.astype(str)}, "gallery: is an array of <U"),
        (lambda g, q, r, b: {"ids": ["a"]}, "gallery: has 200 embeddings, but 1 ids"),
        (lambda g, q, r, b: {"bank": b[:0]}, r"bank: is empty"),
        (lambda g, q, r, b: {"bank": np.concatenate([b, q[3:5]])}, r"bank: contains the labelled query '3' \(2 such"),
        (lambda g, q, r, b: {"bank": b[:, :16]}, "gallery: the bank has samples of dimensions"),
        (lambda g, q, r, b: {"bank": _with(b, 2, np.nan)}, "bank: the embedding of item '2' .* is zero or not finite"),
        (lambda g, q, r, b: {"estimator": "bank_nnn"}, "bank_nnn needs a bank of unlabelled queries; give `bank`"),
        (lambda g, q, r, b: {"estimator": "margn"}, "unknown estimator 'margn'; did you mean 'margin'"),
        (lambda g, q, r, b: {"estimator": "adversarial_exact"}, "adversarial_exact needs the radii"),
        (
            lambda g, q, r, b: {"mapping": "softmax", "estimator": "margin"},
            "mapping 'softmax' needs an estimator that is",
        ),
        (lambda g, q, r, b: {"precision": 1.0}, "the target precision is 1.0"),
        (lambda g, q, r, b: {"groups": [0, 1]}, "gallery: the gallery has 200 items, its groups have shape"),
        (lambda g, q, r, b: {"temperature": 0.0}, "gallery: temperatures .* are not all above 0"),
        (
            lambda g, q, r, b: {"queries": None, "relevant": None, "mapping": "logistic"},
            "without labelled queries no estimator or mapping can be chosen",
        ),
        (
            lambda g, q, r, b: {"queries": None, "relevant": None, "estimator": "auto"},
            "without labelled queries no estimator or mapping can be chosen",
        ),
    ],
)
def test_invalid_input_of_fit_is_one_line_that_names_the_argument(data, change, message):
    gallery, queries, rows, _, bank = data
    arguments = {"gallery": gallery, "queries": queries, "relevant": rows} | change(gallery, queries, rows, bank)
    with pytest.raises(OvertopError, match=message) as error:
        overtop.fit(**arguments)
    assert "\n" not in str(error.value)


def test_too_few_labels_are_a_warning(data):
    gallery, queries, rows, _, _ = data
    with pytest.warns(UserWarning, match="from 20 labelled queries: at least 29 are needed"):
        judge = overtop.fit(gallery, queries[:20], rows[:20], precision=0.9)
    assert judge.promise().startswith("nothing is promised at precision 0.9: 20 labelled queries were not enough")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gallery": np.ones((3, 16))}, r"was fitted with embeddings of dimensions \(32,\), the gallery has \(16,\)"),
        ({"encoder": "ViT-L-14"}, "the embeddings are of encoder 'ViT-L-14', but 'ViT-B-32' is needed"),
        ({"bank": None}, "bank_nnn needs the bank that the model was fitted with, and there is none"),
        ({"bank": np.ones((3, DIM))}, "and this is another one"),
        ({"direction": "t2i"}, "has no model of direction 't2i'; it has queries"),
        ({"groups": np.arange(N) // 2}, "was fitted with 200 groups of gallery items, now there are 100"),
    ],
)
def test_model_that_does_not_fit_the_gallery_is_an_error(data, tmp_path, settings, message):
    fit(data, bank=data[4], encoder="ViT-B-32").save(tmp_path / "trust.json")
    settings = {"gallery": data[0], "bank": data[4] if "gallery" not in settings else np.ones((3, 16))} | settings
    with pytest.raises(OvertopError, match=message):
        overtop.load(tmp_path / "trust.json", **settings)


def test_file_with_models_of_both_directions_needs_the_direction(data, tmp_path):
    path = tmp_path / "trust.json"
    fit(data).save(path)
    content = read_json(path)
    content["models"] = {"t2i": content["models"]["queries"], "i2t": content["models"]["queries"]}
    write_json(path, content)
    with pytest.raises(OvertopError, match="has models of i2t, t2i; name one of them as `direction`"):
        overtop.load(path, data[0])
    assert overtop.load(path, data[0], "i2t").direction == "i2t"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bank": np.ones((3, DIM))}, "gallery: is prepared already; give bank when it is prepared"),
        ({"ids": list(range(N))}, "gallery: is prepared already; give ids when it is prepared"),
        ({"encoder": "ViT-L-14"}, "the embeddings are of encoder 'ViT-B-32', but 'ViT-L-14' is needed"),
        ({"temperature": 0.2}, "gallery: was prepared with a bank at temperature 0.1, but 0.2 is needed"),
    ],
)
def test_argument_that_contradicts_a_prepared_gallery_is_an_error(data, settings, message):
    bank = ArraySource([data[4]])
    prepared = prepare_gallery(ArraySource([data[0]]), bank=bank, temperature=TEMPERATURE, encoder="ViT-B-32")
    with pytest.raises(OvertopError, match=message):
        overtop.fit(prepared, *data[1:3], **settings)


def test_prepared_gallery_without_a_bank_takes_any_temperature(data):
    prepared = prepare_gallery(ArraySource([data[0]]))
    assert overtop.fit(prepared, *data[1:3]).model.facts.temperature == 0.01
    assert_same_answers(overtop.fit(prepared, *data[1:3], precision=0.8, temperature=0.1)(data[3]), fit(data)(data[3]))


def test_choosing_queries_to_label_imports_no_torch():
    code = "import overtop, sys; overtop.queries_to_label(10); print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


@pytest.mark.parametrize(("queries", "gallery"), [("text", "image"), ("image", "text")])
def test_promise_and_probabilities_hold_for_real_clip_embeddings(mirror, queries, gallery):
    """Fitted on one half of the queries of a gallery and judged on the other half; the bank is of another split."""
    arrays = np.load(mirror / "embeddings" / "flickr8k_test_openai_clip_vitb32.npz")
    bank = np.load(mirror / "embeddings" / "flickr8k_val_openai_clip_vitb32.npz")[queries]
    order = np.random.default_rng(0).permutation(1000)
    labelled, new = order[:500], order[500:]
    plain = overtop.fit(arrays[gallery], arrays[queries][labelled], labelled, precision=[0.9, 0.8])
    judge = overtop.fit(arrays[gallery], arrays[queries][labelled], labelled, precision=[0.9, 0.8], bank=bank)
    assert judge.model.calibration.nll.value < plain.model.calibration.nll.value
    answers = judge(arrays[queries][new], precision=0.8)
    right = answers["top1"].to_numpy() == new
    assert answers["act"].mean() > 0.35
    assert right[answers["act"]].mean() >= 0.8
    calibration = measure_calibration(answers["p_right"].to_numpy(), right, seed=0)
    assert calibration.nll.value < 0.52
    assert calibration.ece.low < calibration.calibrated_ece
