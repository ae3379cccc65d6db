import math

import numpy as np
import pytest

from overtop.retrieval.similarities import mean_similarities
from overtop.storage.shards import ArraySource


def test_similarities_are_means_over_samples_of_cosines():
    rng = np.random.default_rng(0)
    queries, gallery = ([rng.normal(size=(n, dim)) for dim in (4, 6)] for n in (3, 5))
    mean = mean_similarities(ArraySource(queries), ArraySource(gallery), "cpu")
    for q in range(3):
        for j in range(5):
            cosines = [
                float(a[q] @ b[j]) / math.sqrt(float(a[q] @ a[q]) * float(b[j] @ b[j]))
                for a, b in zip(queries, gallery, strict=True)
            ]
            assert mean[q, j] == pytest.approx(sum(cosines) / 2, abs=1e-6)


def test_some_queries_have_the_similarities_that_they_have_among_all():
    rng = np.random.default_rng(1)
    queries, gallery = ArraySource([rng.normal(size=(9, 6))]), ArraySource([rng.normal(size=(5, 6))])
    rows = np.array([1, 2, 7])
    some, all_queries = mean_similarities(queries, gallery, "cpu", rows), mean_similarities(queries, gallery, "cpu")
    np.testing.assert_allclose(some, all_queries[rows], atol=1e-7)
