import math

import numpy as np
import pytest
import torch
from scipy.stats import gennorm

from overtop.adapters.loss import NLL, corrected_nll, pair_loss, prediction_loss, published_nll
from overtop.adapters.model import Prediction
from overtop.config.adapters import AdapterSpec


def random_arguments(seed, dtype=torch.float64, shape=(40, 3)):
    """Residual, log_alpha and log_beta."""
    rng = np.random.default_rng(seed)
    residual = np.exp(rng.uniform(math.log(1e-6), math.log(10), shape))
    alpha, beta = np.exp(rng.uniform(-1, 1, shape)), np.exp(rng.uniform(-1.5, 1, shape))
    return [torch.tensor(x, dtype=dtype) for x in (residual, np.log(alpha), np.log(beta))]


def scalar_published_nll(residual, alpha, beta):
    residual_term = min(max(residual / alpha * beta, 1e-4), 1e3)
    return residual_term - math.log(beta / alpha) + math.lgamma(1 / beta)


def scalar_corrected_nll(residual, alpha, beta):
    power = (max(residual, 1e-4) / alpha) ** beta
    power = power if power <= 1e3 else 1e3 * (1 + math.log(power / 1e3))
    return power - math.log(beta / alpha) + math.lgamma(1 / beta)


SCALAR_NLL = {"published": scalar_published_nll, "corrected": scalar_corrected_nll}


@pytest.mark.parametrize("protocol", SCALAR_NLL)
def test_nll_equals_the_scalar_definition(protocol):
    random_residual, log_alpha, log_beta = random_arguments(0)
    extreme_residual = torch.tensor([[0.0, 1e-9, 1e4]] * 40)
    for residual in (random_residual, extreme_residual):
        nll = NLL[protocol](residual, log_alpha, log_beta).numpy()
        for index in np.ndindex(nll.shape):
            arguments = float(residual[index]), math.exp(log_alpha[index]), math.exp(log_beta[index])
            np.testing.assert_allclose(nll[index], SCALAR_NLL[protocol](*arguments), rtol=1e-6, atol=1e-6)


def test_corrected_nll_equals_scipy_density_up_to_a_constant():
    residual, log_alpha, log_beta = random_arguments(1)
    residual = residual.clamp(min=1e-4)
    expected = gennorm.logpdf(residual.numpy(), log_beta.exp().numpy(), scale=log_alpha.exp().numpy())
    below_bound = (residual / log_alpha.exp()) ** log_beta.exp() < 1e3
    assert below_bound.float().mean() > 0.9
    log_density = -corrected_nll(residual, log_alpha, log_beta) - math.log(2)
    np.testing.assert_allclose(log_density[below_bound], expected[below_bound.numpy()], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("beta", "equal"), [(1.0, True), (2.0, False)])
def test_published_nll_equals_scipy_density_only_for_laindex(beta, equal):
    residual, log_alpha, _ = random_arguments(2)
    residual = residual.clamp(min=1e-2)
    log_beta = torch.full_like(residual, math.log(beta))
    log_density = -published_nll(residual, log_alpha, log_beta) - math.log(2)
    expected = gennorm.logpdf(residual.numpy(), beta, scale=log_alpha.exp().numpy())
    assert np.allclose(log_density, expected) is equal


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize("residual", [0.0, 1e-30, 1.0, 1e6])
@pytest.mark.parametrize("beta", [1e-3, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("alpha", [1e-6, 1.0, 1e3])
def test_nll_and_gradient_at_extreme_arguments_are_finite(protocol, residual, beta, alpha):
    inputs = [
        torch.tensor([value], dtype=torch.float32, requires_grad=True)
        for value in (residual, math.log(alpha), math.log(beta))
    ]
    loss = NLL[protocol](*inputs)
    loss.backward()
    assert torch.isfinite(loss).all()
    assert all(torch.isfinite(value.grad).all() for value in inputs)


def test_gradient_of_corrected_nll_equals_finite_differences_below_and_above_the_bound():
    residual, log_alpha, log_beta = (x.requires_grad_() for x in random_arguments(3))
    assert torch.autograd.gradcheck(corrected_nll, (residual, log_alpha, log_beta), atol=1e-4, rtol=1e-3)
    large_residual = torch.full_like(residual, 50.0, requires_grad=True)
    large_log_beta = torch.full_like(residual, math.log(3.0)).requires_grad_()
    assert torch.autograd.gradcheck(corrected_nll, (large_residual, log_alpha, large_log_beta), atol=1e-2, rtol=1e-3)


@pytest.mark.parametrize(("protocol", "sign"), [("corrected", -1), ("published", 1)])
def test_residual_above_the_bound_widens_the_density_only_under_corrected(protocol, sign):
    """Above the bound the published gradient does not depend on the residual, and narrows the density."""
    log_alpha = torch.zeros(1, requires_grad=True)
    NLL[protocol](torch.tensor([1e6]), log_alpha, torch.zeros(1)).backward()
    assert np.sign(log_alpha.grad.item()) == sign


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_pair_loss_equals_the_weighted_sum_over_modalities(protocol):
    rng = np.random.default_rng(4)
    targets = [rng.normal(size=(5, 3)) for _ in range(2)]
    predictions = [[rng.normal(size=(5, 3)) for _ in range(3)] for _ in range(2)]
    spec = AdapterSpec(dataset="d", encoder="e", nll_weight=0.3, cross_weight=0.7)
    expected = 0.0
    for source, target, weight in ((0, 0, 1), (1, 1, 1), (0, 1, 0.7), (1, 0, 0.7)):
        mean, log_alpha, log_beta = predictions[source]
        for index in np.ndindex(5, 3):
            residual = abs(targets[target][index] - mean[index])
            nll = SCALAR_NLL[protocol](residual, math.exp(log_alpha[index]), math.exp(log_beta[index]))
            expected += weight * (residual + 0.3 * nll) / 15
    as_tensors = tuple(Prediction(*(torch.tensor(x) for x in prediction)) for prediction in predictions)
    loss = pair_loss(as_tensors, tuple(map(torch.tensor, targets)), protocol, spec)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    l1_alone = prediction_loss(as_tensors[0], torch.tensor(targets[0]), protocol, nll_weight=0.0)
    np.testing.assert_allclose(l1_alone, np.abs(targets[0] - predictions[0][0]).mean())
