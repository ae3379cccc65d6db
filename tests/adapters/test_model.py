import math

import numpy as np
import pytest
import torch
from scipy.stats import gennorm

from overtop.adapters.model import HIDDEN, Adapter, variance
from overtop.config.adapters import AdapterSpec


def _spec(**changes):
    return AdapterSpec(dataset="d", encoder="e", **changes)


def _plain(adapter, items, positive, mask=1.0):
    """The same network, written out in float64."""
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
def test_is_the_network_written_out(name, positive):
    torch.manual_seed(0)
    adapter, items = Adapter(5, _spec(positive=name)).eval(), torch.randn(7, 5)
    with torch.inference_mode():
        found = adapter(items)
    for part, expected in zip(found, _plain(adapter, items.double().numpy(), positive), strict=True):
        np.testing.assert_allclose(part, expected, atol=1e-5)


def test_a_pass_is_the_network_under_its_mask():
    torch.manual_seed(1)
    adapter, items = Adapter(5, _spec(dropout=0.5)).eval(), torch.randn(7, 5)
    masks = adapter.masks(3)
    assert masks.shape == (3, 1, HIDDEN)
    assert set(masks.unique().tolist()) == {0.0, 2.0}
    with torch.inference_mode():
        found = adapter.thinned_means(items, masks)
        alone = adapter.thinned_means(items[4:5], masks)
    for mask, means in zip(masks.numpy(), found, strict=True):
        np.testing.assert_allclose(means, _plain(adapter, items.numpy(), np.exp, mask)[0], atol=1e-5)
    np.testing.assert_allclose(found[:, 4:5], alone, atol=1e-6)


def test_dropout_acts_in_training_only():
    torch.manual_seed(2)
    adapter, items = Adapter(5, _spec()), torch.randn(3, 5)
    assert not torch.equal(adapter.train()(items).mean, adapter(items).mean)
    assert torch.equal(adapter.eval()(items).mean, adapter(items).mean)


def test_relu_that_died_still_gives_a_density():
    adapter = Adapter(4, _spec(positive="relu")).eval()
    for head in (adapter.inverse_alpha, adapter.beta):
        torch.nn.init.constant_(head[2].bias, -1e3)
    _, log_alpha, log_beta = adapter(torch.randn(3, 4))
    assert torch.isfinite(variance(log_alpha, log_beta)).all()
    np.testing.assert_allclose(log_beta.detach(), math.log(0.1), rtol=1e-5)


def test_variance_is_that_of_scipy():
    rng = np.random.default_rng(3)
    log_alpha, log_beta = rng.uniform(-3, 3, 50), rng.uniform(-1.5, 2.5, 50)
    found = variance(torch.tensor(log_alpha), torch.tensor(log_beta)).numpy()
    np.testing.assert_allclose(found, gennorm.var(np.exp(log_beta), scale=np.exp(log_alpha)), rtol=1e-9)


def test_variance_is_bounded():
    found = variance(torch.tensor([0.0, 900.0, -900.0]), torch.log(torch.tensor([1e-4, 2.0, 2.0])))
    np.testing.assert_allclose(found, [math.exp(600), math.exp(600), 0.0])
