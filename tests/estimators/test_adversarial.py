import numpy as np
import pytest

from overtop.estimators.evidence import Evidence
from overtop.estimators.registry import score
from overtop.radius.radii import Radii, Radius
from overtop.retrieval.ranking import Ranking

RANKING = Ranking(list("abc"), ["x"], np.zeros((3, 1), int), np.zeros((3, 1), np.float32), np.zeros((3, 1, 1), int))


def radius(exact, linear, walk):
    return Radius(*np.array([exact, linear, walk], dtype=float), np.ones(3, bool), np.zeros(3, np.int32))


RADII = Radii(
    published=radius([0, 1, np.inf], [0, 2, np.inf], [0, 1.5, 1.25]),
    corrected=radius([0, 0.1, np.inf], [0, 0.2, np.inf], [0, 0.15, 1.25]),
)


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize(("name", "field"), [("pgd", "walk"), ("linear", "linear"), ("exact", "exact")])
def test_one_minus_tanh_of_the_length_in_the_protocols_space(name, field, protocol):
    uncertainty = score(f"adversarial_{name}", Evidence(RANKING, RADII), protocol)
    np.testing.assert_allclose(1 - uncertainty, np.tanh(getattr(getattr(RADII, protocol), field)), atol=1e-15)
    assert np.isfinite(uncertainty).all()


def test_a_duplicated_top1_is_the_most_uncertain_and_a_gallery_of_one_the_least():
    assert score("adversarial_exact", Evidence(RANKING, RADII), "corrected")[[0, 2]].tolist() == [1.0, 0.0]
