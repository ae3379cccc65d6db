import numpy as np
import pytest

from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import compute_uncertainty
from overtop.radius.radii import PublishedRadius, Radii, Radius
from overtop.retrieval.ranking import Ranking

RANKING = Ranking(list("abc"), ["x"], np.zeros((3, 1), int), np.zeros((3, 1), np.float32), np.zeros((3, 1, 1), int))


TOP1 = np.ones(3, bool), np.zeros(3, np.int32)
RADII = Radii(
    published=PublishedRadius(np.array([0, 1, np.inf]), *TOP1, np.array([0, 2, np.inf]), np.array([0, 1.5, 1.25])),
    corrected=Radius(np.array([0, 0.1, np.inf]), *TOP1),
)


@pytest.mark.parametrize(
    ("name", "field", "protocol"),
    [
        ("pgd", "walk", "published"),
        ("linear", "linear", "published"),
        ("exact", "exact", "published"),
        ("exact", "exact", "corrected"),
    ],
)
def test_uncertainty_is_one_minus_tanh_of_the_length_in_the_space_of_the_protocol(name, field, protocol):
    uncertainty = compute_uncertainty(f"adversarial_{name}", EstimatorInputs(RANKING, RADII), protocol)
    np.testing.assert_allclose(1 - uncertainty, np.tanh(getattr(getattr(RADII, protocol), field)), atol=1e-15)
    assert np.isfinite(uncertainty).all()


def test_duplicated_top1_has_uncertainty_one_and_one_item_gallery_zero():
    uncertainty = compute_uncertainty("adversarial_exact", EstimatorInputs(RANKING, RADII), "corrected")
    assert uncertainty[[0, 2]].tolist() == [1.0, 0.0]
