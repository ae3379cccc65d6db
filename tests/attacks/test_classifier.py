import numpy as np
import pytest
import torch
from PIL import Image

from overtop.attacks.classifier import Classifier
from overtop.attacks.gallery import Gallery, positives_of_images
from overtop.encoders.loading import Encoder
from overtop.errors import OvertopError
from overtop.retrieval.groups import declare_groups
from overtop.storage.split import Split, split_from_labels

TEXTS = np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32)
GROUPS = np.array([0, 2, 1, 2, 0])


def photograph(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (70, 90, 3), dtype=np.uint8))


def pixels_of(classifier: Classifier, count: int = 3) -> torch.Tensor:
    return torch.stack([classifier.to_pixels(photograph(seed)) for seed in range(count)])


def test_embeddings_are_those_of_the_encoders_own_preprocessing(encoder: Encoder) -> None:
    classifier = Classifier(encoder, TEXTS)
    pixels = pixels_of(classifier)
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    expected = encoder.model.encode_image(torch.stack([encoder.preprocess(photograph(seed)) for seed in range(3)]))
    torch.testing.assert_close(classifier.embed(pixels), expected, atol=1e-5, rtol=1e-5)


def test_logits_are_scaled_cosines_and_the_best_of_each_group(encoder: Encoder) -> None:
    classifier, grouped = Classifier(encoder, TEXTS), Classifier(encoder, 3 * TEXTS, GROUPS)
    pixels = pixels_of(classifier)
    images = encoder.model.encode_image(classifier.normalise(pixels)).detach().double().numpy()
    logits, groups = classifier.logits(pixels).detach().numpy(), grouped.logits(pixels).detach().numpy()
    scale = float(encoder.model.logit_scale.detach().exp())
    assert grouped.gallery.n_groups == 3
    for i, image in enumerate(images):
        for j, text in enumerate(TEXTS.astype(float)):
            cosine = image @ text / np.linalg.norm(image) / np.linalg.norm(text)
            assert logits[i, j] == pytest.approx(scale * cosine, abs=1e-4)
        for group in range(3):
            assert groups[i, group] == pytest.approx(logits[i, group == GROUPS].max(), abs=1e-5)


def test_gradient_of_the_pixels_is_the_finite_difference(encoder: Encoder) -> None:
    classifier = Classifier(encoder, TEXTS, GROUPS)
    pixels = pixels_of(classifier, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(classifier.logits(pixels)[0, 1], pixels)
    direction = gradient.sign()
    with torch.no_grad():
        ends = [classifier.logits(pixels + sign * 2e-3 * direction)[0, 1].item() for sign in (1, -1)]
    assert (ends[0] - ends[1]) / 4e-3 == pytest.approx((gradient * direction).sum().item(), rel=0.02)


def test_attacks_are_computed_in_float32_under_autocast(encoder: Encoder) -> None:
    classifier = Classifier(encoder, TEXTS)
    pixels = pixels_of(classifier)
    expected = classifier.logits(pixels)
    with torch.autocast("cpu", torch.bfloat16):
        actual = classifier.logits(pixels)
    assert actual.dtype == torch.float32
    assert torch.equal(actual, expected)


def test_positives_of_classes_may_be_several() -> None:
    split = split_from_labels(["a", "b", "c"], ["a", "b", "c"], [[0], [1, 3], [1]], list("wxyz"), ["{c}"])
    actual = positives_of_images(split, np.array([1, 2]))
    assert actual.tolist() == [[False, True, False, True], [False, True, False, False]]


def test_captions_of_unknown_images_are_wrong_answers_and_images_need_a_caption() -> None:
    split = Split([*"abc"], [""] * 3, [*"12345"], [*"vwxyz"], np.array([0, 0, 2, -1, -1]))
    groups = declare_groups(split, "i2t", split.caption_ids)
    gallery = Gallery(np.eye(5), groups)
    actual = positives_of_images(split, np.array([0, 2]))
    assert actual.tolist() == [[True, False, False, False, False], [False, False, True, False, False]]
    assert gallery.logits(torch.eye(5)).shape[1] == actual.shape[1]
    with pytest.raises(OvertopError, match="image 'b' has no caption, so that no answer to it is right"):
        positives_of_images(split, np.array([0, 1]))
