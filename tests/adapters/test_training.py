import dataclasses

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from adapters.conftest import SPEC, some_pairs
from overtop.adapters.loss import pair_loss
from overtop.adapters.pairs import Pairs, scaled
from overtop.adapters.training import draw_pairs, train_adapters
from overtop.adapters.uncertainty import uncertainty
from overtop.config.adapters import AdapterSpec
from overtop.errors import OvertopError
from overtop.storage.shards import ArraySource

PROTOCOLS = ("published", "corrected")


def _weights(fitted):
    return torch.cat([p.flatten() for adapter in fitted.adapters.values() for p in adapter.parameters()])


def test_the_same_arguments_give_the_same_weights_and_others_do_not():
    pairs = some_pairs(0), some_pairs(1)
    before = torch.get_rng_state()
    first = train_adapters("a", SPEC, *pairs, "corrected", seed=0)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(99)
    again = train_adapters("a", SPEC, *pairs, "corrected", seed=0)
    assert torch.equal(_weights(first), _weights(again))
    assert first.train_loss == again.train_loss
    for others in (
        (SPEC, "corrected", 1),
        (SPEC.model_copy(update={"seed": 1}), "corrected", 0),
        (SPEC, "published", 0),
    ):
        spec, protocol, seed = others
        assert not torch.equal(_weights(first), _weights(train_adapters("a", spec, *pairs, protocol, seed)))


def test_the_weights_are_those_of_the_best_epoch():
    learned, held_out = some_pairs(0, images=4), some_pairs(1)  # few images: soon learned by heart
    fitted = train_adapters("a", SPEC.model_copy(update={"epochs": 40}), learned, held_out, "corrected", seed=0)
    assert fitted.best_epoch == int(np.argmin(fitted.val_loss)) < 39
    assert len(fitted.train_loss) == len(fitted.val_loss) == 40
    targets = held_out.image[held_out.image_of_caption], held_out.text
    predictions = fitted.adapters["image"](targets[0]), fitted.adapters["text"](targets[1])
    found = pair_loss(predictions, targets, "corrected", SPEC)
    np.testing.assert_allclose(found, fitted.val_loss[fitted.best_epoch], rtol=1e-5)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_loss_falls(protocol):
    spec = SPEC.model_copy(update={"epochs": 20})
    fitted = train_adapters("a", spec, some_pairs(0), some_pairs(1), protocol, seed=0)
    assert fitted.train_loss[-1] < 0.7 * fitted.train_loss[0]


def _noisy_world(rng, items, width=32):
    """Captions are their images plus noise whose size follows from the image."""
    image = rng.normal(size=(items, width))
    image /= np.linalg.norm(image, axis=1, keepdims=True)
    noise = 0.4 * np.exp(0.8 * np.sqrt(width) * image[:, 0]) / np.sqrt(width)
    text = image + noise[:, None] * rng.normal(size=(items, width))
    return Pairs(scaled(ArraySource([image])), scaled(ArraySource([text])), np.arange(items)), noise


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_variance_follows_the_noise(protocol):
    """With the other modality's weight raised: at 1e-4 adapters describe hardly more than their own input."""
    rng = np.random.default_rng(0)
    (learned, _), (held_out, _), (asked, noise) = (_noisy_world(rng, items) for items in (640, 64, 300))
    spec = AdapterSpec(dataset="d", encoder="e", epochs=15, learning_rate=5e-3, cross_weight=1.0)
    fitted = train_adapters("a", spec, learned, held_out, protocol, seed=0)
    # A caption shows its noise only through the noise.
    for modality, items, least in (("image", asked.image, 0.7), ("text", asked.text, 0.5)):
        found = uncertainty(fitted.adapters[modality], items, spec.passes, seed=0)
        assert spearmanr(found, noise).statistic > least


def test_each_image_meets_one_of_its_captions():
    owner = np.array([4, 0, 0, 2, 2, 2, 4])  # images 1 and 3 have no caption left
    rng = np.random.default_rng(0)
    drawn = np.stack([draw_pairs(owner, rng) for _ in range(3000)])
    assert {tuple(sorted(owner[row])) for row in drawn} == {(0, 2, 4)}
    counts = np.bincount(drawn.ravel(), minlength=7) / 3000
    np.testing.assert_allclose(counts, [1 / 2, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3, 1 / 2], atol=0.05)
    first = np.bincount(owner[drawn[:, 0]], minlength=5) / 3000
    np.testing.assert_allclose(first[[0, 2, 4]], 1 / 3, atol=0.05)


def test_one_pair_and_a_batch_that_it_cannot_fill():
    fitted = train_adapters("a", SPEC, some_pairs(0, images=1, captions=1), some_pairs(1), "published", seed=0)
    assert np.isfinite(fitted.val_loss).all()


def test_widths_that_differ_are_refused():
    with pytest.raises(OvertopError, match=r"adapters\.a: embeddings of widths \(6, 6, 4, 4\)"):
        train_adapters("a", SPEC, some_pairs(0), some_pairs(1, width=4), "corrected", seed=0)


def test_divergence_is_told():
    pairs = some_pairs(0)
    far = dataclasses.replace(pairs, image=pairs.image * 1e30)
    with pytest.raises(OvertopError, match=r"adapters\.a: .*diverged in epoch 1; lower learning_rate"):
        train_adapters("a", SPEC.model_copy(update={"learning_rate": 1e30}), far, pairs, "corrected", seed=0)
