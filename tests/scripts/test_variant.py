"""The scripts from `split` to `score` on variants: what they read of the base, and galleries with fewer items."""

from types import SimpleNamespace

import numpy as np
import pytest

from helpers.oracles import descending_order, normalise
from helpers.scored_split import run_script, score_split
from overtop.datasets.imported import ImportedEmbeddings, write_imported_shards
from overtop.storage.split import Split, read_split, write_split

N_IMAGES, CAPTIONS_PER_IMAGE = 30, 2
ESTIMATORS = ["top1_similarity", "margin", "adversarial_exact", "max_softmax"]
ABSENT = {"kind": "variant", "of": "base", "absent": 0.4, "seed": 5}
SAMPLE = {"kind": "variant", "of": "base", "images": 12, "seed": 5}


@pytest.fixture(scope="module")
def embeddings():
    """Images (N, D), and captions (M, D) that are noisy copies of their images."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(N_IMAGES, 12)).astype(np.float32)
    noise = rng.normal(size=(N_IMAGES * CAPTIONS_PER_IMAGE, 12))
    return images, (images.repeat(CAPTIONS_PER_IMAGE, axis=0) + 0.8 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def score(tmp_path_factory, embeddings):
    """A function that returns the split and the scores of a variant, whose base has the shards."""

    def make(spec):
        folder = tmp_path_factory.mktemp("variant")
        captions = [f"i{i}#{j}" for i in range(N_IMAGES) for j in range(CAPTIONS_PER_IMAGE)]
        image_of_caption = np.repeat(np.arange(N_IMAGES), CAPTIONS_PER_IMAGE)
        ids = [f"i{i}" for i in range(N_IMAGES)]
        base = Split(ids, [""] * N_IMAGES, captions, ["words"] * len(captions), image_of_caption)
        write_split(folder / "base.parquet", base)
        shards = {modality: folder / f"{modality}.h5" for modality in ("image", "text")}
        imported = ImportedEmbeddings(base, *(array[None] for array in embeddings))
        write_imported_shards(imported, shards, dataset="base", split="test", on_error="fail")
        params = SimpleNamespace(spec=spec, data="data")
        run_script("split", folder / "split.parquet", params, base=folder / "base.parquet")
        return read_split(folder / "split.parquet"), score_split(folder, folder / "split.parquet", shards, ESTIMATORS)

    return make


@pytest.fixture(scope="module")
def absent(score):
    return score(ABSENT)


def assert_top1_are_those_of_a_loop(split, scores, embeddings, is_present):
    """Compare the rows of one estimator with a loop over the present images and their captions."""
    images, texts = map(normalise, embeddings)
    owner_of_text = np.repeat(np.arange(N_IMAGES), CAPTIONS_PER_IMAGE)
    for query_id, row in scores[scores["estimator"] == "top1_similarity"].set_index("query_id").iterrows():
        image = int(query_id.split("#")[0][1:])
        if row["direction"] == "t2i":
            query = texts[CAPTIONS_PER_IMAGE * image + int(query_id.split("#")[1])]
            gallery, owner = images, np.arange(N_IMAGES)
        else:
            query, gallery, owner = images[image], texts, owner_of_text
        present = np.flatnonzero(is_present[owner])
        best = present[descending_order(gallery[present] @ query)[0]]
        own = f"i{owner[best]}"
        assert row["top1_id"] == (own if row["direction"] == "t2i" else f"{own}#{best % CAPTIONS_PER_IMAGE}")
        assert row["hit"] == (owner[best] == image)
        assert row["image_id"] == f"i{image}"
        assert row["absent"] == (not is_present[image])
        assert row["uncertainty"] == pytest.approx(1 - gallery[best] @ query, abs=1e-6)


def test_scores_are_those_of_a_loop_over_the_items_that_are_present(absent, embeddings):
    split, scores = absent
    assert split.absent.sum() == 12
    assert_top1_are_those_of_a_loop(split, scores, embeddings, ~split.absent)


def test_every_estimator_scores_all_queries(absent):
    _, scores = absent
    assert set(scores["estimator"]) == set(ESTIMATORS)
    assert (scores.groupby("estimator").size() == N_IMAGES * (1 + CAPTIONS_PER_IMAGE)).all()
    assert (scores.groupby(["estimator", "direction"])["absent"].mean() == 0.4).all()


def test_scores_of_a_sample_are_those_of_a_loop_over_its_items(score, embeddings):
    split, scores = score(SAMPLE)
    is_present = np.isin([f"i{i}" for i in range(N_IMAGES)], split.image_ids)
    assert is_present.sum() == 12
    assert set(scores["image_id"]) == set(split.image_ids)
    assert (scores.groupby("estimator").size() == 12 * (1 + CAPTIONS_PER_IMAGE)).all()
    assert_top1_are_those_of_a_loop(split, scores, embeddings, is_present)
