import numpy as np
import pytest

from overtop.estimators import Evidence, score
from overtop.ranking import Ranking


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_one_minus_the_best_similarity(protocol):
    scores = np.array([[0.75, 0.5], [-0.25, -0.5]], dtype=np.float32)
    ranking = Ranking(["a", "b"], ["x", "y"], np.zeros((2, 2), int), scores, np.zeros((2, 1, 1), int))
    np.testing.assert_array_equal(score("top1_similarity", Evidence(ranking), protocol), [0.25, 1.25])
