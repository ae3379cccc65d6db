import dataclasses

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from helpers.adapter_inputs import ENCODER, SPEC, WIDTH, random_pairs
from overtop.adapters.loss import pair_loss
from overtop.adapters.pairs import Pairs, read_adapter_inputs
from overtop.adapters.training import draw_captions, train_adapters, train_bundle
from overtop.adapters.variance import predict_variance
from overtop.config.adapters import AdapterSpec
from overtop.errors import OvertopError
from overtop.storage.shards import ArraySource

PROTOCOLS = ("published", "corrected")


def flat_weights(trained):
    """All weights of both modalities as one vector."""
    return torch.cat([p.flatten() for adapter in trained.by_modality.values() for p in adapter.parameters()])


def test_same_arguments_give_the_same_weights_whatever_the_global_seed():
    pairs = random_pairs(0), random_pairs(1)
    random_state = torch.get_rng_state()
    first = train_adapters("a", SPEC, *pairs, "corrected", seed=0)
    assert torch.equal(random_state, torch.get_rng_state())
    torch.manual_seed(99)
    again = train_adapters("a", SPEC, *pairs, "corrected", seed=0)
    assert torch.equal(flat_weights(first), flat_weights(again))
    assert first.train_loss == again.train_loss


@pytest.mark.parametrize(
    ("spec", "protocol", "seed"),
    [(SPEC, "corrected", 1), (SPEC.model_copy(update={"seed": 1}), "corrected", 0), (SPEC, "published", 0)],
)
def test_another_seed_or_protocol_gives_other_weights(spec, protocol, seed):
    pairs = random_pairs(0), random_pairs(1)
    first = train_adapters("a", SPEC, *pairs, "corrected", seed=0)
    assert not torch.equal(flat_weights(first), flat_weights(train_adapters("a", spec, *pairs, protocol, seed)))


def test_trained_weights_are_those_of_the_best_epoch():
    train, val = random_pairs(0, images=4), random_pairs(1)  # few images, so that training overfits
    trained = train_adapters("a", SPEC.model_copy(update={"epochs": 40}), train, val, "corrected", seed=0)
    assert trained.best_epoch == int(np.argmin(trained.val_loss)) < 39
    assert len(trained.train_loss) == len(trained.val_loss) == 40
    targets = val.image[val.image_of_caption], val.text
    predictions = trained.by_modality["image"](targets[0]), trained.by_modality["text"](targets[1])
    loss = pair_loss(predictions, targets, "corrected", SPEC)
    np.testing.assert_allclose(loss, trained.val_loss[trained.best_epoch], rtol=1e-5)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bundle_has_the_adapters_of_its_protocol(protocol):
    pairs = random_pairs(0), random_pairs(1)
    bundle = train_bundle("a", SPEC, *pairs, protocol, seed=0)
    assert (bundle.name, bundle.spec, bundle.width, bundle.encoder, bundle.seed) == ("a", SPEC, WIDTH, ENCODER, 0)
    assert list(bundle.by_protocol) == [protocol]
    alone = train_adapters("a", SPEC, *pairs, protocol, seed=0)
    assert torch.equal(flat_weights(bundle.by_protocol[protocol]), flat_weights(alone))


def test_progress_counts_epochs():
    calls = []
    pairs = random_pairs(0), random_pairs(1)
    train_bundle("a", SPEC, *pairs, "corrected", 0, progress=lambda *call: calls.append(call))
    assert calls == [(1, 2), (2, 2)]


def test_validation_pairs_of_another_encoder_are_refused():
    val = dataclasses.replace(random_pairs(1), encoder={**ENCODER, "name": "other"})
    with pytest.raises(OvertopError, match="these are of 'other'"):
        train_bundle("a", SPEC, random_pairs(0), val, "corrected", seed=0)


class Killed(BaseException):
    """Stands for the end of a process."""


@pytest.mark.parametrize("epochs_done", [1, 3])
def test_killed_training_continues_and_ends_as_an_undisturbed_one(tmp_path, epochs_done):
    spec, state = SPEC.model_copy(update={"epochs": 4}), tmp_path / ".a.state"
    arguments = ("a", spec, random_pairs(0), random_pairs(1), "corrected", 0)

    def kill(done, total):
        if done == epochs_done:
            raise Killed

    with pytest.raises(Killed):
        train_adapters(*arguments, state=state, progress=kill)
    calls = []
    resumed = train_adapters(*arguments, state=state, progress=lambda done, total: calls.append(done))
    assert calls == list(range(epochs_done + 1, 5)), "epochs that were done are not repeated"
    undisturbed = train_adapters(*arguments)
    assert torch.equal(flat_weights(resumed), flat_weights(undisturbed))
    for field in ("train_loss", "val_loss", "best_epoch"):
        assert getattr(resumed, field) == getattr(undisturbed, field)


@pytest.mark.parametrize("changed", ["spec", "protocol", "seed", "train", "val", "damage"])
def test_state_of_another_training_is_not_used(tmp_path, changed, caplog):
    arguments = {"spec": SPEC, "train": random_pairs(0), "val": random_pairs(1), "protocol": "corrected", "seed": 0}
    others = {
        "spec": SPEC.model_copy(update={"learning_rate": 2e-2}),
        "protocol": "published",
        "seed": 1,
        "train": random_pairs(2),
        "val": random_pairs(2),
    }
    state = tmp_path / ".a.state"
    train_adapters("a", **arguments, state=state)
    assert state.is_file()
    if changed == "damage":
        state.write_bytes(state.read_bytes()[:1000])
    else:
        arguments[changed] = others[changed]
    trained = train_adapters("a", **arguments, state=state)
    assert "training starts from the beginning" in caplog.text
    assert torch.equal(flat_weights(trained), flat_weights(train_adapters("a", **arguments)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_training_loss_falls(protocol):
    spec = SPEC.model_copy(update={"epochs": 20})
    trained = train_adapters("a", spec, random_pairs(0), random_pairs(1), protocol, seed=0)
    assert trained.train_loss[-1] < 0.7 * trained.train_loss[0]


def pairs_with_known_noise(rng, items, width=32):
    """Captions that are their images plus noise whose size follows from the image; returns the pairs and the size."""
    image = rng.normal(size=(items, width))
    image /= np.linalg.norm(image, axis=1, keepdims=True)
    noise = 0.4 * np.exp(0.8 * np.sqrt(width) * image[:, 0]) / np.sqrt(width)
    text = image + noise[:, None] * rng.normal(size=(items, width))
    inputs = [read_adapter_inputs(ArraySource([array])) for array in (image, text)]
    return Pairs(*inputs, np.arange(items), ENCODER), noise


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_predicted_variance_correlates_with_the_noise(protocol):
    """The weight of the other modality is raised, because at 1e-4 adapters hardly depend on it."""
    rng = np.random.default_rng(0)
    (train, _), (val, _), (test, noise) = (pairs_with_known_noise(rng, items) for items in (640, 64, 300))
    spec = AdapterSpec(dataset="d", encoder="e", epochs=15, learning_rate=5e-3, cross_weight=1.0)
    trained = train_adapters("a", spec, train, val, protocol, seed=0)
    # A caption carries less information about its noise than the image that determines it.
    for modality, items, min_correlation in (("image", test.image, 0.7), ("text", test.text, 0.5)):
        variance = predict_variance(trained.by_modality[modality], items, spec.passes, seed=0)
        assert spearmanr(variance, noise).statistic > min_correlation


def test_one_caption_per_image_is_drawn_uniformly_in_random_order():
    image_of_caption = np.array([4, 0, 0, 2, 2, 2, 4])  # images 1 and 3 have no caption
    rng = np.random.default_rng(0)
    captions = np.stack([draw_captions(image_of_caption, rng) for _ in range(3000)])
    assert {tuple(sorted(image_of_caption[row])) for row in captions} == {(0, 2, 4)}
    counts = np.bincount(captions.ravel(), minlength=7) / 3000
    np.testing.assert_allclose(counts, [1 / 2, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3, 1 / 2], atol=0.05)
    first = np.bincount(image_of_caption[captions[:, 0]], minlength=5) / 3000
    np.testing.assert_allclose(first[[0, 2, 4]], 1 / 3, atol=0.05)


def test_one_pair_that_does_not_fill_a_batch_trains():
    trained = train_adapters("a", SPEC, random_pairs(0, images=1, captions=1), random_pairs(1), "published", seed=0)
    assert np.isfinite(trained.val_loss).all()


def test_pairs_of_different_widths_are_refused():
    with pytest.raises(OvertopError, match=r"adapters\.a: embeddings of widths \(6, 6, 4, 4\)"):
        train_adapters("a", SPEC, random_pairs(0), random_pairs(1, width=4), "corrected", seed=0)


def test_diverging_training_is_refused_with_the_epoch():
    pairs = random_pairs(0)
    huge = dataclasses.replace(pairs, image=pairs.image * 1e30)
    with pytest.raises(OvertopError, match=r"adapters\.a: .*diverged in epoch 1; lower learning_rate"):
        train_adapters("a", SPEC.model_copy(update={"learning_rate": 1e30}), huge, pairs, "corrected", seed=0)
