import numpy as np
import pytest
import torch
from scipy.stats import gennorm

from helpers.adapter_inputs import ENCODER, WIDTH
from overtop.adapters import variance as variance_module
from overtop.adapters.pairs import read_adapter_inputs
from overtop.adapters.variance import predict_spreads, predict_variance
from overtop.errors import OvertopError
from overtop.storage.shards import ArraySource

PROTOCOLS = ("published", "corrected")
RNG = np.random.default_rng(0)


def random_source(items, prefix, samples=1, width=WIDTH):
    ids = [f"{prefix}{i}" for i in range(items)]
    return ArraySource([RNG.normal(size=(items, width)) for _ in range(samples)], ids)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_variance_equals_aleatoric_plus_epistemic(bundle, protocol):
    adapter, items = bundle.by_protocol[protocol].by_modality["text"], read_adapter_inputs(random_source(9, "c"))
    with torch.random.fork_rng():
        torch.manual_seed(7)
        masks = adapter.draw_masks(4)
    variance = predict_variance(adapter, items, passes=4, seed=7)
    assert variance.dtype == np.float64
    _, log_alpha, log_beta = (part.double().numpy() for part in adapter(items))
    means = adapter.masked_means(items, masks).double().numpy()
    for i in range(9):
        aleatoric = np.mean(
            [gennorm.var(np.exp(b), scale=np.exp(a)) for a, b in zip(log_alpha[i], log_beta[i], strict=True)]
        )
        epistemic = np.mean([np.var(means[:, i, d], ddof=1) for d in range(WIDTH)])
        assert epistemic > 0
        np.testing.assert_allclose(variance[i], aleatoric + epistemic, rtol=1e-5)


def test_variance_of_an_item_does_not_depend_on_the_other_items(bundle, monkeypatch):
    adapter, items = bundle.by_protocol["corrected"].by_modality["image"], read_adapter_inputs(random_source(9, "i"))
    expected = predict_variance(adapter, items, passes=4, seed=1)
    monkeypatch.setattr(variance_module, "_BLOCK_ITEMS", 2)
    np.testing.assert_allclose(predict_variance(adapter, items, passes=4, seed=1), expected, rtol=1e-5)
    np.testing.assert_allclose(predict_variance(adapter, items[5:6], passes=4, seed=1), expected[5:6], rtol=1e-5)
    of_duplicates = predict_variance(adapter, items[[3, 3, 0]], passes=4, seed=1)
    np.testing.assert_allclose(of_duplicates[0], of_duplicates[1], rtol=1e-6)


def test_variance_is_determined_by_the_seed(bundle):
    adapter, items = bundle.by_protocol["corrected"].by_modality["image"], read_adapter_inputs(random_source(9, "i"))
    random_state = torch.get_rng_state()
    first, again, other = (predict_variance(adapter, items, passes=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(random_state, torch.get_rng_state())
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("samples", [1, 3])
def test_spreads_contain_captions_for_t2i_and_images_for_i2t(bundle, samples):
    images, texts = random_source(4, "i", samples), random_source(7, "c", samples)
    spreads = predict_spreads([bundle], images, texts, [ENCODER])
    again = predict_spreads([bundle], images, texts, [ENCODER] * samples)
    assert spreads["t2i"].query_ids == texts.item_ids
    assert spreads["i2t"].query_ids == images.item_ids
    for direction, source in (("t2i", texts), ("i2t", images)):
        assert set(spreads[direction].variance) == set(PROTOCOLS)
        for protocol in PROTOCOLS:
            variance = spreads[direction].variance[protocol]
            assert variance.shape == (source.n_items,)
            assert (variance > 0).all()
            np.testing.assert_array_equal(variance, again[direction].variance[protocol])
        assert (spreads[direction].variance["published"] != spreads[direction].variance["corrected"]).all()


def test_spreads_of_one_item_are_finite(bundle):
    spreads = predict_spreads([bundle], random_source(1, "i"), random_source(1, "c"), [ENCODER])
    assert np.isfinite(spreads["t2i"].variance["corrected"]).all()


def test_embeddings_of_another_encoder_are_refused_before_they_are_read(bundle):
    class Unreadable(ArraySource):
        def read(self, sample, start, stop):
            raise AssertionError("was read")

    wide, matching = ([Unreadable([np.ones((2, width))]) for _ in range(2)] for width in (WIDTH + 2, WIDTH))
    with pytest.raises(OvertopError, match="width 6, these have 8"):
        predict_spreads([bundle], *wide, [ENCODER])
    with pytest.raises(OvertopError, match="these are of 'other'"):
        predict_spreads([bundle], *matching, [{"name": "other"}])


@pytest.mark.parametrize("bad", [0.0, np.nan])
def test_zero_or_non_finite_embedding_is_refused_by_name(bundle, bad):
    broken = RNG.normal(size=(2, WIDTH))
    broken[1] = bad
    with pytest.raises(OvertopError, match="'1' .*zero or not finite"):
        predict_spreads([bundle], random_source(2, "i"), ArraySource([broken]), [ENCODER])
