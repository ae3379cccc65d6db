import numpy as np

from helpers.embeddings import random_cone
from overtop.retrieval.exact import rank
from overtop.retrieval.reranking import rerank
from overtop.storage.shards import ArraySource


def test_shuffled_items_are_returned_in_the_order_of_rank():
    rng = np.random.default_rng(3)
    queries, gallery = random_cone(rng, 3, 20), random_cone(rng, 3, 30)
    expected = rank(gallery, queries, top=30)["t2i"]
    shuffled = rng.permuted(np.tile(np.arange(30), (20, 1)), axis=1)
    ids, scores = rerank(queries, gallery, shuffled, "cpu")
    np.testing.assert_array_equal(ids, expected.top_ids)
    np.testing.assert_allclose(scores, expected.top_scores, atol=1e-6)


def test_items_are_sorted_by_the_selected_samples():
    rng = np.random.default_rng(3)
    queries, gallery = random_cone(rng, 3, 20), random_cone(rng, 3, 30)
    one_sample = (ArraySource([side.read(1, 0, side.n_items)]) for side in (gallery, queries))
    expected = rank(*one_sample, top=30)["t2i"]
    every_item = np.tile(np.arange(30), (20, 1))
    np.testing.assert_array_equal(rerank(queries, gallery, every_item, "cpu", [1])[0], expected.top_ids)
