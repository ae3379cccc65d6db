import math

import numpy as np
import pytest
import torch
from scipy.stats import gennorm

from overtop.adapters.model import HIDDEN_WIDTH, Adapter, generalised_gaussian_variance
from overtop.config.adapters import AdapterSpec


def make_spec(**changes):
    return AdapterSpec(dataset="d", encoder="e", **changes)


def numpy_prediction(adapter, items, positive, mask=1.0):
    """The same network in NumPy and float64: mean, log_alpha and log_beta."""
    state = {key: value.double().numpy() for key, value in adapter.state_dict().items()}

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def head(x, name):
        return linear(np.maximum(linear(x, f"{name}.0"), 0), f"{name}.2")

    hidden = np.maximum(linear(np.maximum(linear(items, "before.0"), 0), "before.2"), 0) * mask
    shared = linear(hidden, "after") + items
    inverse_alpha, beta = positive(head(shared, "inverse_alpha")) + 1e-3, positive(head(shared, "beta")) + 0.1
    return head(shared, "mean"), -np.log(inverse_alpha), np.log(beta)


@pytest.mark.parametrize(
    ("name", "positive"),
    [("softplus", lambda x: np.logaddexp(x, 0)), ("relu", lambda x: np.maximum(x, 0))],
)
def test_prediction_equals_the_network_in_numpy(name, positive):
    torch.manual_seed(0)
    adapter, items = Adapter(5, make_spec(positive=name)).eval(), torch.randn(7, 5)
    with torch.inference_mode():
        prediction = adapter(items)
    for part, expected in zip(prediction, numpy_prediction(adapter, items.double().numpy(), positive), strict=True):
        np.testing.assert_allclose(part, expected, atol=1e-5)


def test_masked_means_equal_the_network_under_each_mask():
    torch.manual_seed(1)
    adapter, items = Adapter(5, make_spec(dropout=0.5)).eval(), torch.randn(7, 5)
    masks = adapter.draw_masks(3)
    assert masks.shape == (3, 1, HIDDEN_WIDTH)
    assert set(masks.unique().tolist()) == {0.0, 2.0}
    with torch.inference_mode():
        means = adapter.masked_means(items, masks)
        one_item = adapter.masked_means(items[4:5], masks)
    for mask, mean in zip(masks.numpy(), means, strict=True):
        np.testing.assert_allclose(mean, numpy_prediction(adapter, items.numpy(), np.exp, mask)[0], atol=1e-5)
    np.testing.assert_allclose(means[:, 4:5], one_item, atol=1e-6)


def test_dropout_is_active_only_in_training_mode():
    torch.manual_seed(2)
    adapter, items = Adapter(5, make_spec()), torch.randn(3, 5)
    assert not torch.equal(adapter.train()(items).mean, adapter(items).mean)
    assert torch.equal(adapter.eval()(items).mean, adapter(items).mean)


def test_relu_heads_with_dead_units_still_give_a_density():
    adapter = Adapter(4, make_spec(positive="relu")).eval()
    for head in (adapter.inverse_alpha, adapter.beta):
        torch.nn.init.constant_(head[2].bias, -1e3)
    _, log_alpha, log_beta = adapter(torch.randn(3, 4))
    assert torch.isfinite(generalised_gaussian_variance(log_alpha, log_beta)).all()
    np.testing.assert_allclose(log_beta.detach(), math.log(0.1), rtol=1e-5)


def test_variance_equals_scipy():
    rng = np.random.default_rng(3)
    log_alpha, log_beta = rng.uniform(-3, 3, 50), rng.uniform(-1.5, 2.5, 50)
    variance = generalised_gaussian_variance(torch.tensor(log_alpha), torch.tensor(log_beta)).numpy()
    np.testing.assert_allclose(variance, gennorm.var(np.exp(log_beta), scale=np.exp(log_alpha)), rtol=1e-9)


def test_variance_of_extreme_parameters_is_bounded():
    log_beta = torch.log(torch.tensor([1e-4, 2.0, 2.0]))
    variance = generalised_gaussian_variance(torch.tensor([0.0, 900.0, -900.0]), log_beta)
    np.testing.assert_allclose(variance, [math.exp(600), math.exp(600), 0.0])
