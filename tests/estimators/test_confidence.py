import numpy as np

from overtop.estimators.confidence import to_uncertainty


def test_published_uncertainty_has_the_ties_and_order_of_float32_confidences():
    rng = np.random.default_rng(0)
    parts = [rng.random(5000), 2.0**-30 + rng.random(5000) * 2.0**-20, 0.9 + rng.random(5000) * 1e-6, -rng.random(99)]
    confidence = np.concatenate(parts)
    released = np.float32(confidence)
    assert len(np.unique(released)) < len(np.unique(confidence)) - 4000
    uncertainty = to_uncertainty(confidence, "published")
    assert uncertainty.dtype == np.float64
    np.testing.assert_array_equal(1 - uncertainty, released)


def test_corrected_uncertainty_is_not_rounded():
    confidence = np.array([0.1, 0.1 + 1e-12, 1.0])
    np.testing.assert_array_equal(to_uncertainty(confidence, "corrected"), 1 - confidence)
