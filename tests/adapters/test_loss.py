import math

import numpy as np
import pytest
import torch
from scipy.stats import gennorm

from overtop.adapters.loss import NLL, corrected_nll, pair_loss, prediction_loss, published_nll
from overtop.adapters.model import Prediction
from overtop.config.adapters import AdapterSpec


def _inputs(seed, dtype=torch.float64, shape=(40, 3)):
    rng = np.random.default_rng(seed)
    residual = np.exp(rng.uniform(math.log(1e-6), math.log(10), shape))
    alpha, beta = np.exp(rng.uniform(-1, 1, shape)), np.exp(rng.uniform(-1.5, 1, shape))
    return [torch.tensor(x, dtype=dtype) for x in (residual, np.log(alpha), np.log(beta))]


def _published(residual, alpha, beta):
    scaled = min(max(residual / alpha * beta, 1e-4), 1e3)
    return scaled - math.log(beta / alpha) + math.lgamma(1 / beta)


def _corrected(residual, alpha, beta):
    power = (max(residual, 1e-4) / alpha) ** beta
    power = power if power <= 1e3 else 1e3 * (1 + math.log(power / 1e3))
    return power - math.log(beta / alpha) + math.lgamma(1 / beta)


@pytest.mark.parametrize(("protocol", "plain"), [("published", _published), ("corrected", _corrected)])
def test_is_that_of_a_plain_loop(protocol, plain):
    residual, log_alpha, log_beta = _inputs(0)
    extreme = torch.tensor([[0.0, 1e-9, 1e4]] * 40)
    for asked in (residual, extreme):
        found = NLL[protocol](asked, log_alpha, log_beta).numpy()
        for place in np.ndindex(found.shape):
            expected = plain(float(asked[place]), math.exp(log_alpha[place]), math.exp(log_beta[place]))
            np.testing.assert_allclose(found[place], expected, rtol=1e-6, atol=1e-6)


def test_corrected_is_the_density_of_scipy_less_a_constant():
    residual, log_alpha, log_beta = _inputs(1)
    residual = residual.clamp(min=1e-4)
    expected = gennorm.logpdf(residual.numpy(), log_beta.exp().numpy(), scale=log_alpha.exp().numpy())
    inside = (residual / log_alpha.exp()) ** log_beta.exp() < 1e3
    assert inside.float().mean() > 0.9
    found = -corrected_nll(residual, log_alpha, log_beta) - math.log(2)
    np.testing.assert_allclose(found[inside], expected[inside.numpy()], rtol=1e-6, atol=1e-6)


def test_published_is_the_density_of_scipy_only_for_laplace():
    residual, log_alpha, _ = _inputs(2)
    residual = residual.clamp(min=1e-2)
    for beta, same in ((1.0, True), (2.0, False)):
        log_beta = torch.full_like(residual, math.log(beta))
        found = -published_nll(residual, log_alpha, log_beta) - math.log(2)
        expected = gennorm.logpdf(residual.numpy(), beta, scale=log_alpha.exp().numpy())
        assert np.allclose(found, expected) is same


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize("residual", [0.0, 1e-30, 1.0, 1e6])
@pytest.mark.parametrize("beta", [1e-3, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("alpha", [1e-6, 1.0, 1e3])
def test_value_and_gradient_are_finite_at_the_edges(protocol, residual, beta, alpha):
    inputs = [
        torch.tensor([value], dtype=torch.float32, requires_grad=True)
        for value in (residual, math.log(alpha), math.log(beta))
    ]
    loss = NLL[protocol](*inputs)
    loss.backward()
    assert torch.isfinite(loss).all()
    assert all(torch.isfinite(value.grad).all() for value in inputs)


def test_the_gradient_of_corrected_is_that_of_differences_also_above_the_bound():
    inputs = [x.requires_grad_() for x in _inputs(3)]
    big = torch.full_like(inputs[0], 50.0, requires_grad=True)
    assert torch.autograd.gradcheck(corrected_nll, inputs, atol=1e-4, rtol=1e-3)
    wide = torch.full_like(inputs[0], math.log(3.0)).requires_grad_()
    assert torch.autograd.gradcheck(corrected_nll, (big, inputs[1], wide), atol=1e-2, rtol=1e-3)


def test_a_residual_far_off_widens_the_density_under_corrected_alone():
    """Above the bound the published gradient no longer sees the residual, and narrows."""
    for protocol, sign in (("corrected", -1), ("published", 1)):
        log_alpha = torch.zeros(1, requires_grad=True)
        NLL[protocol](torch.tensor([1e6]), log_alpha, torch.zeros(1)).backward()
        assert np.sign(log_alpha.grad.item()) == sign


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_pairs_weigh_both_modalities(protocol):
    rng = np.random.default_rng(4)
    targets = [rng.normal(size=(5, 3)) for _ in range(2)]
    predictions = [[rng.normal(size=(5, 3)) for _ in range(3)] for _ in range(2)]
    spec = AdapterSpec(dataset="d", encoder="e", nll_weight=0.3, cross_weight=0.7)
    plain = {"published": _published, "corrected": _corrected}[protocol]
    expected = 0.0
    for source, target, weight in ((0, 0, 1), (1, 1, 1), (0, 1, 0.7), (1, 0, 0.7)):
        mean, log_alpha, log_beta = predictions[source]
        for place in np.ndindex(5, 3):
            residual = abs(targets[target][place] - mean[place])
            nll = plain(residual, math.exp(log_alpha[place]), math.exp(log_beta[place]))
            expected += weight * (residual + 0.3 * nll) / 15
    as_tensors = tuple(Prediction(*(torch.tensor(x) for x in prediction)) for prediction in predictions)
    found = pair_loss(as_tensors, tuple(map(torch.tensor, targets)), protocol, spec)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    own = prediction_loss(as_tensors[0], torch.tensor(targets[0]), protocol, nll_weight=0.0)
    np.testing.assert_allclose(own, np.abs(targets[0] - predictions[0][0]).mean())
