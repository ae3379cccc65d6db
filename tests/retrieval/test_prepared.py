import json

import numpy as np
import pytest

from helpers.embeddings import random_cone
from overtop.errors import OvertopError
from overtop.retrieval.bank import compute_normalisations
from overtop.retrieval.exact import rank
from overtop.retrieval.gallery_files import FACTS, ITEMS, open_gallery
from overtop.retrieval.prepared import prepare_gallery, rank_queries
from overtop.retrieval.ranking import ARRAYS
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


def test_truncated_gallery_is_refused(tmp_path):
    prepare_gallery(gallery_with_duplicates(np.random.default_rng(0), 1), tmp_path / "g")
    with open(tmp_path / "g" / "sample-0.npy", "rb+") as file:
        file.truncate(200)
    with pytest.raises(OvertopError, match=r"sample-0.npy: is missing or truncated; prepare the gallery again"):
        open_gallery(tmp_path / "g")


def test_facts_of_a_gallery_are_stored(tmp_path):
    bank = random_cone(np.random.default_rng(1), 1, 9)
    prepare_gallery(gallery_with_duplicates(np.random.default_rng(0), 1), tmp_path, bank=bank, encoder="clip")
    facts = json.loads((tmp_path / FACTS).read_text())
    assert (facts["items"], facts["distinct_items"], facts["encoder"], facts["bank"]["size"]) == (37, 33, "clip", 9)
    assert ITEMS in facts["files"]
