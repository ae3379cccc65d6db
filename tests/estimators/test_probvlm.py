import numpy as np
import pytest

from overtop.errors import OvertopError
from overtop.estimators.evidence import Evidence
from overtop.estimators.registry import ESTIMATORS, lacking, score
from overtop.retrieval.ranking import Ranking

RANKING = Ranking(["a", "b"], ["x"], np.zeros((2, 1), int), np.zeros((2, 1)), np.zeros((2, 1, 1), int))
SPREAD = {"published": np.array([0.5, 2.0]), "corrected": np.array([3.0, 0.25])}


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_a_wider_spread_is_less_trustworthy(protocol):
    found = score("probvlm", Evidence(RANKING, spread=SPREAD), protocol)
    np.testing.assert_array_equal(found, SPREAD[protocol])
    assert found.dtype == np.float64


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_a_posterior_without_adapter_is_refused(protocol):
    assert "adapter" in lacking(ESTIMATORS["probvlm"], Evidence(RANKING), protocol)
    with pytest.raises(OvertopError, match="probvlm needs a posterior with an adapter; declare one"):
        score("probvlm", Evidence(RANKING), protocol)
