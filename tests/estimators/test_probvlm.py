import numpy as np
import pytest

from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import compute_uncertainty
from overtop.retrieval.ranking import Ranking

RANKING = Ranking(["a", "b"], ["x"], np.zeros((2, 1), int), np.zeros((2, 1)), np.zeros((2, 1, 1), int))
VARIANCE = {"published": np.array([0.5, 2.0]), "corrected": np.array([3.0, 0.25])}


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_uncertainty_is_the_variance_of_the_protocol(protocol):
    uncertainty = compute_uncertainty("probvlm", EstimatorInputs(RANKING, variance=VARIANCE), protocol)
    np.testing.assert_array_equal(uncertainty, VARIANCE[protocol])
    assert uncertainty.dtype == np.float64
