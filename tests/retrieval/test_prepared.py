import json

import numpy as np
import pytest

from helpers import oracles
from helpers.embeddings import random_cone
from overtop.errors import OvertopError
from overtop.retrieval.bank import compute_normalisations
from overtop.retrieval.exact import rank
from overtop.retrieval.gallery_files import FACTS, ITEMS, open_gallery
from overtop.retrieval.prepared import fingerprint_embeddings, prepare_gallery, rank_queries
from overtop.retrieval.ranking import ARRAYS
from overtop.retrieval.unit_files import DIGEST_ROWS, SAMPLE
from overtop.retrieval.vectors import read_unit_vectors
from overtop.storage.embedding_files import open_embeddings
from overtop.storage.json_files import write_json
from overtop.storage.shards import ArraySource

TEMPERATURES = (0.01, 0.07)


def assert_same_rankings(found, expected):
    for name in (*ARRAYS, "groups"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert (found.query_ids, found.gallery_ids) == (expected.query_ids, expected.gallery_ids)
    assert set(found.normalised) == set(expected.normalised)
    for name, normalised in expected.normalised.items():
        for values, of_expected in zip(found.normalised[name], normalised, strict=True):
            np.testing.assert_array_equal(values, of_expected, err_msg=name)


def gallery_with_duplicates(rng, samples, items=37):
    arrays = [rng.normal(size=(items, 12)).astype(np.float32) for _ in range(samples)]
    for array in arrays:
        array[[5, 20, 36]] = array[2]
        array[11] = array[10]
    return ArraySource(arrays, [f"item {row}" for row in range(items)])


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("samples", [1, 3])
def test_prepared_gallery_is_ranked_as_its_raw_embeddings(samples, in_memory, tmp_path):
    rng = np.random.default_rng(samples)
    source, queries, bank = gallery_with_duplicates(rng, samples), *(random_cone(rng, samples, n) for n in (30, 25))
    groups = np.arange(37) // 2
    gallery = prepare_gallery(
        source, None if in_memory else tmp_path / "gallery", groups=groups, bank=bank, device="cpu"
    )
    normalisations = compute_normalisations(source, queries, bank, bank, {"t2i": 0.01}, device="cpu")
    options = {"groups": {"t2i": groups}, "normalisations": normalisations, "directions": ["t2i"], "device": "cpu"}
    expected = rank(source, queries, 6, temperatures=TEMPERATURES, **options)["t2i"]
    assert_same_rankings(rank_queries(gallery, queries, 6, TEMPERATURES, device="cpu"), expected)


def embeddings_on_grid(rng, items):
    """Embeddings of length two with four entries of +-1, whose cosines are exact in float32 and often equal."""
    return np.array([rng.permutation([1, -1, 1, -1, 0, 0, 0, 0]) for _ in range(items)], dtype=np.float32)


@pytest.mark.parametrize("count", [1, 7, 150])
def test_answers_from_a_folder_equal_loops_in_float64(count, tmp_path):
    rng = np.random.default_rng(count)
    items, queries = embeddings_on_grid(rng, 60), embeddings_on_grid(rng, count)
    prepare_gallery(ArraySource([items]), tmp_path / "gallery")
    ranking = rank_queries(open_gallery(tmp_path / "gallery"), ArraySource([queries]), 10, TEMPERATURES, device="cpu")
    top_ids, top_scores, _ = oracles.full_ranking([queries], [items], 10, 1)
    np.testing.assert_array_equal(ranking.top_ids, top_ids)
    np.testing.assert_allclose(ranking.top_scores, top_scores, atol=1e-6)
    groups, scores = oracles.partition([items], np.arange(60)), oracles.cosine_similarities([queries], [items])[0]
    expected = [[oracles.group_softmax(row.round(9), groups, t)[0] for t in TEMPERATURES] for row in scores]
    np.testing.assert_allclose(ranking.group_log_partition, expected, rtol=2e-4, atol=2e-6)


def test_one_item_is_a_gallery(tmp_path):
    bank = ArraySource([np.array([[1.0, 2.0], [3.0, 1.0]])])
    gallery = prepare_gallery(ArraySource([np.array([[0.0, 3.0]])], ["only"]), tmp_path / "gallery", bank=bank)
    ranking = rank_queries(gallery, ArraySource([np.eye(2)]), 5, [0.01], device="cpu")
    assert ranking.top_ids.tolist() == [[0], [0]]
    assert ranking.top_scores.tolist() == [[0.0], [1.0]]
    assert ranking.group_log_partition.tolist() == [[0.0], [0.0]]
    assert ranking.normalised["bank_nnn"].neg_log_probability.tolist() == [0.0, 0.0]


def test_unit_vectors_of_an_opened_gallery_are_used_where_they_are(tmp_path):
    prepare_gallery(gallery_with_duplicates(np.random.default_rng(0), 1), tmp_path / "gallery")
    source = open_gallery(tmp_path / "gallery").items.items.source
    units = read_unit_vectors(source, 0, slice(3, 9), "cpu").numpy()
    assert np.shares_memory(units, source.read(0, 0, source.n_items))
    np.testing.assert_allclose(np.linalg.norm(units, axis=1), 1, rtol=1e-6)


def test_only_requested_results_are_computed():
    rng = np.random.default_rng(0)
    gallery = prepare_gallery(gallery_with_duplicates(rng, 1), bank=random_cone(rng, 1, 9))
    queries = random_cone(rng, 1, 4)
    ranking = rank_queries(gallery, queries, 5, normalisations=["bank_nnn"], rivals=False, device="cpu")
    assert set(ranking.normalised) == {"bank_nnn"}
    assert ranking.rival_ids.shape == (4, 0)
    assert rank_queries(gallery, queries, 5, normalisations=[], device="cpu").normalised == {}
    with pytest.raises(OvertopError, match="no offsets for bank_nnn; prepare it with a bank"):
        rank_queries(prepare_gallery(random_cone(rng, 1, 4)), queries, 1, normalisations=["bank_nnn"])


def test_fingerprint_depends_on_embeddings_and_names_only(tmp_path):
    rows = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float16)
    bank = ArraySource([rows])
    expected = prepare_gallery(ArraySource([rows])).fingerprint
    same = [
        prepare_gallery(ArraySource([rows.astype(np.float64)])),
        prepare_gallery(ArraySource([rows]), tmp_path / "gallery", bank=bank, encoder="clip"),
        open_gallery(tmp_path / "gallery"),
    ]
    assert {gallery.fingerprint for gallery in same} == {expected}
    others = [ArraySource([rows], list("abcdefghi")), ArraySource([rows[:8]]), ArraySource([2 * rows])]
    assert expected not in {prepare_gallery(source).fingerprint for source in others}


def test_facts_of_a_gallery_are_stored(tmp_path):
    bank = random_cone(np.random.default_rng(1), 1, 9)
    source = gallery_with_duplicates(np.random.default_rng(0), 1)
    gallery = prepare_gallery(source, tmp_path, bank=bank, bank_facts={"seed": 3}, temperature=0.02, encoder="clip")
    facts = json.loads((tmp_path / FACTS).read_text())
    assert (facts["items"], facts["distinct_items"], facts["encoder"], facts["temperature"]) == (37, 33, "clip", 0.02)
    assert facts["bank"] == {"size": 9, "seed": 3, "fingerprint": fingerprint_embeddings(bank)} == gallery.bank
    assert (gallery.n_items, gallery.n_samples, gallery.dims, gallery.item_ids[4]) == (37, 1, (12,), "item 4")
    assert gallery.normalisation.temperature == gallery.temperature == 0.02


def test_prepared_gallery_is_not_read_as_embeddings(tmp_path):
    prepare_gallery(ArraySource([np.eye(3)]), tmp_path / "gallery")
    with pytest.raises(OvertopError, match="gallery: is a prepared gallery"):
        open_embeddings(tmp_path / "gallery")


def flip_byte(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "truncated vectors": (SAMPLE.format(0), lambda path: path.write_bytes(path.read_bytes()[:-4]), "is missing"),
    "missing vectors": (SAMPLE.format(0), lambda path: path.unlink(), "is missing or truncated"),
    "altered items": (ITEMS, lambda path: flip_byte(path, 40), "content differs from its digest"),
    "no facts": (FACTS, lambda path: path.unlink(), "is not a prepared gallery"),
    "truncated facts": (FACTS, lambda path: path.write_text('{"schema": '), "has no digest"),
    "altered facts": (FACTS, lambda path: flip_byte(path, -10), "content differs from its digest"),
    "other schema": (FACTS, lambda path: write_json(path, {"schema": "gallery/0"}), "has schema 'gallery/0'"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_gallery_is_refused_in_one_line(damage, tmp_path):
    name, change, message = DAMAGES[damage]
    prepare_gallery(gallery_with_duplicates(np.random.default_rng(0), 1), tmp_path / "gallery")
    change(tmp_path / "gallery" / name)
    with pytest.raises(OvertopError, match=message) as raised:
        open_gallery(tmp_path / "gallery")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("row", [0, DIGEST_ROWS - 1, DIGEST_ROWS, DIGEST_ROWS + 10])
def test_altered_unit_vectors_are_detected_when_they_are_read(row, tmp_path):
    source = random_cone(np.random.default_rng(0), 1, DIGEST_ROWS + 12)
    prepare_gallery(source, tmp_path / "gallery")
    path = tmp_path / "gallery" / SAMPLE.format(0)
    flip_byte(path, 128 + row * 4 * source.dims[0])
    units = open_gallery(tmp_path / "gallery").items.items.source
    other = 0 if row >= DIGEST_ROWS else DIGEST_ROWS
    units.read(0, other, other + 5)  # another block
    message = rf"^{path}: content differs from its digest; prepare the gallery again$"
    for read in (
        lambda: units.read(0, row, row + 1),
        lambda: units.units(0, slice(row, row + 1)),
        lambda: units.units(0, np.array([row])),
        lambda: rank_queries(open_gallery(tmp_path / "gallery"), random_cone(np.random.default_rng(1), 1, 2), 1),
    ):
        with pytest.raises(OvertopError, match=message):
            read()


@pytest.mark.parametrize(("value", "row"), [(np.nan, 3), (0.0, 30)])
def test_bad_item_is_named_and_an_earlier_gallery_stays(value, row, tmp_path):
    folder = tmp_path / "gallery"
    before = prepare_gallery(gallery_with_duplicates(np.random.default_rng(0), 1), folder).fingerprint
    rows = np.random.default_rng(1).normal(size=(37, 12))
    rows[row] = value
    with pytest.raises(OvertopError, match=rf"item 'item {row}' in sample 0 is zero or not finite"):
        prepare_gallery(ArraySource([rows], [f"item {i}" for i in range(37)]), folder)
    assert open_gallery(folder).fingerprint == before
    assert [path.name for path in tmp_path.iterdir()] == ["gallery"]


def test_earlier_gallery_is_replaced_and_nothing_else(tmp_path):
    rng = np.random.default_rng(0)
    prepare_gallery(gallery_with_duplicates(rng, 3), tmp_path / "gallery")
    prepare_gallery(random_cone(rng, 1, 5), tmp_path / "gallery")
    assert open_gallery(tmp_path / "gallery").n_items == 5
    assert sorted(path.name for path in (tmp_path / "gallery").iterdir()) == sorted([FACTS, ITEMS, SAMPLE.format(0)])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("text")
    with pytest.raises(OvertopError, match="other: exists and is not a prepared gallery"):
        prepare_gallery(random_cone(rng, 1, 5), tmp_path / "other")
    assert (tmp_path / "other" / "thesis.txt").read_text() == "text"


BAD_INPUTS = {
    "empty gallery": (dict(source=ArraySource([np.empty((0, 3))])), "the gallery is empty"),
    "empty bank": (dict(bank=ArraySource([np.empty((0, 3))])), "the bank is empty"),
    "other dimension": (dict(bank=ArraySource([np.eye(2)])), r"the bank has samples of dimensions \(2,\), the gallery"),
    "other samples": (dict(bank=ArraySource([np.eye(3)] * 2)), r"the bank has samples of dimensions \(3, 3\)"),
    "groups": (dict(groups=[1, 2]), r"the gallery has 3 items, its groups have shape \(2,\)"),
    "separate groups": (dict(groups=[1, 2, 1]), "must follow each other"),
    "temperature": (dict(temperature=0.0), "not all above 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_gallery_that_cannot_be_prepared_is_an_error(case, tmp_path):
    arguments, message = BAD_INPUTS[case]
    with pytest.raises(OvertopError, match=message):
        prepare_gallery(**{"source": ArraySource([np.eye(3)]), "folder": tmp_path / "gallery"} | arguments)
    assert not list(tmp_path.iterdir())


def test_queries_that_do_not_fit_the_gallery_are_an_error():
    gallery = prepare_gallery(ArraySource([np.eye(3)]))
    with pytest.raises(OvertopError, match=r"queries have samples of dimensions \(2,\), the gallery \(3,\)"):
        rank_queries(gallery, ArraySource([np.eye(2)]), 1)
    with pytest.raises(OvertopError, match="there are no queries"):
        rank_queries(gallery, ArraySource([np.empty((0, 3))]), 1)
    with pytest.raises(OvertopError, match="item '1' in sample 0 is zero or not finite"):
        rank_queries(gallery, ArraySource([np.array([[1.0, 0, 0], [0, 0, 0]])]), 1)
