"""The divergences against loops in float64, `torch.distributions` and finite differences."""

import math

import pytest
import torch
from scipy.special import digamma
from torch.autograd import gradcheck
from torch.distributions import Categorical, Dirichlet, kl_divergence

from overtop.training.divergences import (
    UCAT_LAMBDA,
    concentrations,
    evidence_weight,
    kl_categorical,
    kl_dirichlet,
    weighted_kl_dirichlet,
)

CLIP_COSINES = (0.15, 0.35)


def make_cosines(classes: int, low: float, high: float, noise: float, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Cosines of 20 clean images, uniform in [low, high], and of attacked ones, in float64."""
    generator = torch.Generator().manual_seed(seed)
    clean = low + (high - low) * torch.rand(20, classes, generator=generator, dtype=torch.float64)
    attacked = clean + noise * torch.randn(20, classes, generator=generator, dtype=torch.float64)
    return attacked.clamp(-1, 1), clean


def dirichlet_oracle(a: list[float], b: list[float]) -> float:
    a_0, b_0 = math.fsum(a), math.fsum(b)
    log_normalisers = math.lgamma(a_0) - math.lgamma(b_0)
    for a_k, b_k in zip(a, b, strict=True):
        log_normalisers += math.lgamma(b_k) - math.lgamma(a_k) + (a_k - b_k) * (digamma(a_k) - digamma(a_0))
    return log_normalisers


@pytest.mark.parametrize("classes", [2, 10, 1000])
@pytest.mark.parametrize("scale", [1 / 0.07, 100.0])
def test_categorical_divergence_equals_that_of_torch(classes, scale):
    attacked, clean = (scale * cosines for cosines in make_cosines(classes, *CLIP_COSINES, noise=0.05))
    expected = kl_divergence(Categorical(logits=clean), Categorical(logits=attacked))
    torch.testing.assert_close(kl_categorical(clean, attacked), expected, rtol=1e-10, atol=1e-14)
    single = kl_categorical(clean.float(), attacked.float()).double()
    torch.testing.assert_close(single, expected, rtol=1e-4, atol=2e-6)


def test_categorical_divergence_with_vanishing_probabilities_is_finite():
    p, q = torch.tensor([[300.0, -300.0, 0.0]]), torch.tensor([[-300.0, 300.0, 0.0]], requires_grad=True)
    divergence = kl_categorical(p, q)
    assert divergence.item() == 600.0
    assert torch.autograd.grad(divergence.sum(), q)[0].tolist() == [[-1.0, 1.0, 0.0]]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1.0, 1.0], [1.0, 1.0]),
        ([0.01, 0.5, 3.0], [2.0, 0.1, 0.7]),
        ([1.5, 1.5, 1.5, 40.0], [1.5, 1.5, 1.5, 1.5]),
        ([1e4, 3e4], [2e4, 2e4]),
    ],
)
def test_dirichlet_divergence_equals_loops_and_that_of_torch(a, b):
    a_tensor, b_tensor = (torch.tensor([values], dtype=torch.float64) for values in (a, b))
    divergence = kl_dirichlet(a_tensor, b_tensor)
    torch.testing.assert_close(
        divergence, kl_divergence(Dirichlet(a_tensor), Dirichlet(b_tensor)), rtol=1e-9, atol=1e-9
    )
    assert divergence.item() == pytest.approx(dirichlet_oracle(a, b), rel=1e-9, abs=1e-9)


def test_concentrations_and_weight_equal_their_definitions():
    attacked, _ = make_cosines(7, -1.0, 1.0, noise=0.0)
    alpha, weights = concentrations(attacked), evidence_weight(attacked)
    factor = 1e5 / (1 + math.exp(2 / 0.07))
    assert pytest.approx(factor, rel=1e-12) == UCAT_LAMBDA
    assert pytest.approx(3.9e-8, rel=0.01) == UCAT_LAMBDA
    for i, row in enumerate(attacked.tolist()):
        expected = [1e-6 + math.exp((s + 1) / 0.07) for s in row]
        assert alpha[i].tolist() == pytest.approx(expected, rel=1e-12)
        assert weights[i].item() == pytest.approx(factor * (sum(expected) - 7e-6), rel=1e-9)


@pytest.mark.parametrize("classes", [2, 10, 200, 1000])
def test_stable_form_equals_the_exact_one_at_cosines_of_clip(classes):
    attacked, clean = make_cosines(classes, *CLIP_COSINES, noise=0.05)
    attacked.requires_grad_()
    exact = weighted_kl_dirichlet(attacked, clean, exact=True)
    expected = UCAT_LAMBDA * kl_divergence(Dirichlet(concentrations(attacked)), Dirichlet(concentrations(clean)))
    torch.testing.assert_close(exact, expected, rtol=1e-8, atol=1e-9)
    [gradient] = torch.autograd.grad(exact.mean(), attacked)
    for dtype, rtol in ((torch.float64, 1e-5), (torch.float32, 1e-4)):
        stable = weighted_kl_dirichlet(attacked.to(dtype), clean.to(dtype), exact=False)
        assert stable.dtype == dtype
        assert stable.mean().item() == pytest.approx(exact.mean().item(), rel=rtol)
        error = 2e-6 * evidence_weight(clean).max().item() if dtype == torch.float32 else 1e-7
        torch.testing.assert_close(stable.double(), exact, rtol=rtol, atol=error)
        [stable_gradient] = torch.autograd.grad(stable.mean(), attacked)
        assert (stable_gradient - gradient).norm() < rtol * gradient.norm()


def test_exact_form_in_float32_cosines_is_computed_in_float64():
    attacked, clean = make_cosines(50, *CLIP_COSINES, noise=0.05)
    divergence = weighted_kl_dirichlet(attacked.float(), clean.float(), exact=True)
    assert divergence.dtype == torch.float64
    torch.testing.assert_close(divergence, weighted_kl_dirichlet(attacked, clean, exact=True), rtol=1e-4, atol=1e-5)


def test_stable_form_does_not_hold_for_small_concentrations():
    """Cosines near -1: concentrations of 1 to 4, where the exact form still equals torch's."""
    attacked, clean = make_cosines(10, -1.0, -0.9, noise=0.03)
    exact, stable = (weighted_kl_dirichlet(attacked, clean, exact=exact) for exact in (True, False))
    for i in range(len(clean)):
        expected = dirichlet_oracle(concentrations(attacked)[i].tolist(), concentrations(clean)[i].tolist())
        assert exact[i].item() == pytest.approx(UCAT_LAMBDA * expected, rel=1e-6)
    assert ((stable - exact).abs() > 0.1 * exact).sum() > 10
    assert (stable / exact).median() == pytest.approx(0.7, abs=0.2)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(("low", "high"), [CLIP_COSINES, (-1.0, -0.8), (0.0, 0.9)])
def test_gradients_equal_finite_differences(exact, low, high):
    """Of the divergence relative to its value, so that gradcheck's tolerances apply."""
    attacked, clean = (cosines[:3] for cosines in make_cosines(4, low, high, noise=0.05))
    size = weighted_kl_dirichlet(attacked, clean, exact=exact).mean()
    first, second = (cosines.clone().requires_grad_() for cosines in (attacked, clean))

    def relative_divergence(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return weighted_kl_dirichlet(a, b, exact=exact) / size

    assert gradcheck(relative_divergence, (first, second), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("classes", [2, 1000])
@pytest.mark.parametrize("exact", [True, False])
def test_extreme_cosines_give_finite_values_and_gradients(classes, exact):
    clean = torch.full((4, classes), -1.0)
    clean[1], clean[2, 0], clean[3, 1:] = 1.0, 1.0, 1.0
    for attacked in (clean.flip(0), -clean, clean.flip(1)):
        variable = attacked.clone().requires_grad_()
        divergence = weighted_kl_dirichlet(variable, clean, exact=exact)
        [gradient] = torch.autograd.grad(divergence.sum(), variable)
        assert divergence.isfinite().all()
        assert gradient.isfinite().all()
        assert divergence.max() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", ["clip", "ties", "extreme"])
def test_equal_cosines_give_no_divergence_and_no_gradient(dtype, case):
    _, clean = make_cosines(100, *((-1.0, 1.0) if case == "extreme" else CLIP_COSINES), noise=0.0)
    if case == "ties":
        clean = clean[:, :1].expand(-1, 100)
    clean = clean.to(dtype)
    for exact in (False, True):
        variable = clean.clone().requires_grad_()
        divergence = weighted_kl_dirichlet(variable, clean, exact=exact)
        [gradient] = torch.autograd.grad(divergence.sum(), variable)
        weights = evidence_weight(clean).to(divergence.dtype)
        assert (divergence == 0).all()
        assert (gradient.abs().sum(dim=1) <= 1e-5 * weights).all()
        if dtype == torch.float64 or exact:
            assert (gradient.abs().sum(dim=1) <= 1e-12 * weights).all()
