import numpy as np
import pytest
import torch
from scipy.stats import gennorm

from adapters.conftest import ENCODER, WIDTH
from overtop.adapters import uncertainty as uncertainty_module
from overtop.adapters.pairs import scaled
from overtop.adapters.uncertainty import spread_of, uncertainty
from overtop.errors import OvertopError
from overtop.storage.shards import ArraySource

PROTOCOLS = ("published", "corrected")
RNG = np.random.default_rng(0)


def _source(items, prefix, samples=1, width=WIDTH):
    ids = [f"{prefix}{i}" for i in range(items)]
    return ArraySource([RNG.normal(size=(items, width)) for _ in range(samples)], ids)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_is_aleatoric_plus_epistemic(adapters, protocol):
    adapter, items = adapters.fitted[protocol].adapters["text"], scaled(_source(9, "c"))
    with torch.random.fork_rng():
        torch.manual_seed(7)
        masks = adapter.masks(4)
    found = uncertainty(adapter, items, passes=4, seed=7)
    assert found.dtype == np.float64
    _, log_alpha, log_beta = (part.double().numpy() for part in adapter(items))
    means = adapter.thinned_means(items, masks).double().numpy()
    for i in range(9):
        aleatoric = np.mean(
            [gennorm.var(np.exp(b), scale=np.exp(a)) for a, b in zip(log_alpha[i], log_beta[i], strict=True)]
        )
        epistemic = np.mean([np.var(means[:, i, d], ddof=1) for d in range(WIDTH)])
        assert epistemic > 0
        np.testing.assert_allclose(found[i], aleatoric + epistemic, rtol=1e-5)


def test_what_is_said_of_an_item_does_not_depend_on_the_others(adapters, monkeypatch):
    adapter, items = adapters.fitted["corrected"].adapters["image"], scaled(_source(9, "i"))
    whole = uncertainty(adapter, items, passes=4, seed=1)
    monkeypatch.setattr(uncertainty_module, "_BLOCK", 2)
    np.testing.assert_allclose(uncertainty(adapter, items, passes=4, seed=1), whole, rtol=1e-5)
    np.testing.assert_allclose(uncertainty(adapter, items[5:6], passes=4, seed=1), whole[5:6], rtol=1e-5)
    twins = items[[3, 3, 0]]
    found = uncertainty(adapter, twins, passes=4, seed=1)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


def test_the_seed_decides(adapters):
    adapter, items = adapters.fitted["corrected"].adapters["image"], scaled(_source(9, "i"))
    before = torch.get_rng_state()
    first, again, other = (uncertainty(adapter, items, passes=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("samples", [1, 3])
def test_queries_are_captions_for_t2i_and_images_for_i2t(adapters, samples):
    images, texts = _source(4, "i", samples), _source(7, "c", samples)
    found = spread_of(adapters, images, texts, [ENCODER])
    again = spread_of(adapters, images, texts, [ENCODER] * samples)
    assert found["t2i"].query_ids == texts.item_ids
    assert found["i2t"].query_ids == images.item_ids
    for direction, source in (("t2i", texts), ("i2t", images)):
        assert set(found[direction].variance) == set(PROTOCOLS)
        for protocol in PROTOCOLS:
            variance = found[direction].variance[protocol]
            assert variance.shape == (source.n_items,)
            assert (variance > 0).all()
            np.testing.assert_array_equal(variance, again[direction].variance[protocol])
        assert (found[direction].variance["published"] != found[direction].variance["corrected"]).all()


def test_one_item(adapters):
    found = spread_of(adapters, _source(1, "i"), _source(1, "c"), [ENCODER])
    assert np.isfinite(found["t2i"].variance["corrected"]).all()


def test_other_embeddings_are_refused_before_anything_is_computed(adapters):
    class Unreadable(ArraySource):
        def read(self, sample, start, stop):
            raise AssertionError("was read")

    wide, fits = ([Unreadable([np.ones((2, width))]) for _ in range(2)] for width in (WIDTH + 2, WIDTH))
    with pytest.raises(OvertopError, match="width 6, these have 8"):
        spread_of(adapters, *wide, [ENCODER])
    with pytest.raises(OvertopError, match="these are of 'other'"):
        spread_of(adapters, *fits, [{"name": "other"}])


@pytest.mark.parametrize("bad", [0.0, np.nan])
def test_an_embedding_without_direction_is_named(adapters, bad):
    broken = RNG.normal(size=(2, WIDTH))
    broken[1] = bad
    with pytest.raises(OvertopError, match="'1' .*zero or not finite"):
        spread_of(adapters, _source(2, "i"), ArraySource([broken]), [ENCODER])
