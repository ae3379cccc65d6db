import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from helpers import oracles
from overtop.errors import OvertopError
from overtop.retrieval import temperature_fit
from overtop.retrieval.exact import rank
from overtop.retrieval.temperature_fit import TEMPERATURE_GRID, fit_temperature, fit_temperatures, labelled_pairs
from overtop.storage.shards import ArraySource
from overtop.storage.split import Split, split_from_labels

RNG = np.random.default_rng(0)


def make_split(image_of_caption):
    images, captions = image_of_caption.max() + 1, len(image_of_caption)
    image_ids, caption_ids = ([f"{kind}{i}" for i in range(n)] for kind, n in (("image", images), ("text", captions)))
    return Split(image_ids, [""] * images, caption_ids, ["a caption"] * captions, image_of_caption)


def sources_of(split, images, texts):
    return ArraySource(images, split.image_ids), ArraySource(texts, split.caption_ids)


def make_pairs(noise=2.5, n_images=40, per_image=3, samples=2, dim=16):
    """Return a split whose captions are near their images in every sample, and its images and captions."""
    split = make_split(np.repeat(np.arange(n_images), per_image))
    images = [RNG.normal(size=(n_images, dim)) for _ in range(samples)]
    shape = (len(split.captions), dim)
    texts = [image[split.image_of_caption] + noise * RNG.normal(size=shape) for image in images]
    return split, *sources_of(split, images, texts)


def mean_nll(images, texts, image_of_text, direction, temperature):
    """Return the mean over queries of -log of the probability of their positives, in float64."""
    per_sample = [
        oracles.normalise(texts.read(s, 0, texts.n_items)) @ oracles.normalise(images.read(s, 0, images.n_items)).T
        for s in range(images.n_samples)
    ]
    scores = np.mean(per_sample, axis=0)
    is_positive = image_of_text[:, None] == np.arange(images.n_items)
    if direction == "i2t":
        scores, is_positive = scores.T, is_positive.T
    has_positive = is_positive.any(axis=1)
    logits, is_positive = scores[has_positive] / temperature, is_positive[has_positive]
    return np.mean(logsumexp(logits, axis=1) - logsumexp(np.where(is_positive, logits, -np.inf), axis=1))


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_fit_minimises_the_likelihood(direction):
    split, images, texts = make_pairs()
    fit = fit_temperatures(split, images, texts)[direction]

    def nll(log_temperature):
        return mean_nll(images, texts, split.image_of_caption, direction, np.exp(log_temperature))

    bounds = np.log([TEMPERATURE_GRID[0], TEMPERATURE_GRID[-1]])
    expected = minimize_scalar(nll, bounds=bounds, method="bounded")
    assert np.log(fit.temperature) == pytest.approx(expected.x, abs=5e-3)
    assert fit.nll == pytest.approx(expected.fun, abs=1e-4)
    assert fit.n_queries == (texts.n_items if direction == "t2i" else images.n_items)


def test_fit_recovers_the_temperature_that_positives_were_sampled_at():
    temperature, captions, n_images = 0.05, 3000, 30
    images, texts = ArraySource([RNG.normal(size=(n_images, 8))]), ArraySource([RNG.normal(size=(captions, 8))])
    scores = oracles.normalise(texts.read(0, 0, captions)) @ oracles.normalise(images.read(0, 0, n_images)).T
    image_of_text = np.array([RNG.choice(n_images, p=row) for row in softmax(scores / temperature, axis=1)])
    gap = scores[np.arange(captions), image_of_text] - scores.max(axis=1)
    ranking = rank(images, texts, top=1, vote_top=1, temperatures=TEMPERATURE_GRID)["t2i"]
    fit = fit_temperature(ranking, gap[:, None] / np.array(TEMPERATURE_GRID))
    assert fit.temperature == pytest.approx(temperature, rel=0.05)


def test_captions_of_skipped_images_are_left_out():
    split, images, texts = make_pairs()
    present = np.delete(np.arange(images.n_items), 3)
    remaining = ArraySource(
        [images.read(s, 0, images.n_items)[present] for s in range(2)], [split.image_ids[i] for i in present]
    )
    image_of_text = split.image_rows(texts.item_ids, remaining.item_ids)
    assert (image_of_text == -1).sum() == 3
    fits = fit_temperatures(split, remaining, texts)
    for direction, queries in (("t2i", 117), ("i2t", 39)):
        fit = fits[direction]
        assert fit.n_queries == queries
        assert fit.nll == pytest.approx(mean_nll(remaining, texts, image_of_text, direction, fit.temperature), abs=1e-4)


def test_similarities_without_information_are_an_error():
    split, images, texts = make_pairs(noise=0.0)
    wrong_images = [np.roll(images.read(s, 0, images.n_items), 1, axis=0) for s in range(2)]
    with pytest.raises(OvertopError, match="set temperature.softmax to a number"):
        fit_temperatures(split, ArraySource(wrong_images, split.image_ids), texts)


def test_queries_without_positives_are_an_error():
    _, images, texts = make_pairs()
    ranking = rank(images, texts, top=1, vote_top=1, temperatures=TEMPERATURE_GRID)["t2i"]
    with pytest.raises(OvertopError, match="no query"):
        fit_temperature(ranking, np.full((texts.n_items, len(TEMPERATURE_GRID)), -np.inf))


def test_progress_is_reported():
    reports = []
    fit_temperatures(*make_pairs(), progress=lambda *report: reports.append(report))
    assert reports[-1] == (120, 120)


def test_classes_are_fitted_in_their_single_direction():
    """Images have one to three labels; one class has no image, and one image was skipped."""
    rng = np.random.default_rng(8)
    classes, n_images, dim = 7, 60, 16
    of_image = [rng.choice(classes - 1, rng.integers(1, 4), replace=False).tolist() for _ in range(n_images)]
    names = [f"image{i}" for i in range(n_images)]
    split = split_from_labels(names, [""] * n_images, of_image, ["a class"] * classes, ["a {c}"])
    prompts = [rng.normal(size=(classes, dim)) for _ in range(2)]
    images = [
        np.stack([prompt[labels].mean(axis=0) for labels in of_image]) + rng.normal(size=(n_images, dim))
        for prompt in prompts
    ]
    present = np.delete(np.arange(n_images), 5)
    sources = ArraySource([i[present] for i in images], [names[i] for i in present]), ArraySource(prompts)
    fits = fit_temperatures(split, *sources)
    assert list(fits) == ["i2t"]
    assert fits["i2t"].n_queries == n_images - 1
    scores = np.mean(
        [oracles.normalise(i[present]) @ oracles.normalise(p).T for i, p in zip(images, prompts, strict=True)], axis=0
    )

    def nll(log_temperature):
        logits = scores / np.exp(log_temperature)
        terms = [logsumexp(row) - logsumexp(row[of_image[i]]) for row, i in zip(logits, present, strict=True)]
        return np.mean(terms)

    bounds = np.log([TEMPERATURE_GRID[0], TEMPERATURE_GRID[-1]])
    expected = minimize_scalar(nll, bounds=bounds, method="bounded")
    assert np.log(fits["i2t"].temperature) == pytest.approx(expected.x, abs=5e-3)
    assert fits["i2t"].nll == pytest.approx(expected.fun, abs=1e-4)


@pytest.mark.parametrize(("shift", "end"), [(0, 0), (1, -1)])
def test_classifier_that_is_always_right_or_at_chance_has_an_end_of_the_grid(shift, end):
    names = [f"image{i}" for i in range(12)]
    split = split_from_labels(names, [""] * 12, [[i % 4] for i in range(12)], ["a class"] * 4, ["a {c}"])
    prompts = np.eye(4)
    images = prompts[(np.arange(12) + shift) % 4] + 0.1
    fit = fit_temperatures(split, ArraySource([images], names), ArraySource([prompts]))["i2t"]
    assert fit.temperature == TEMPERATURE_GRID[end]
    assert fit.n_queries == 12


def test_labelled_pairs_are_those_of_the_given_items():
    split = split_from_labels(["a", "b", "c"], [""] * 3, [[1, 2], [2], [0]], ["x", "y", "z"], ["{c}"])
    pairs = labelled_pairs(split, ["c", "b"], ["2", "0", "1"])
    assert list(zip(*(column.tolist() for column in pairs), strict=True)) == [(1, 0), (0, 1)]


@pytest.mark.parametrize("read_items", [1, 4, 1000])
def test_blocks_of_pairs_do_not_change_the_fit(monkeypatch, read_items):
    pairs = make_pairs(n_images=12, noise=6.0)
    expected = fit_temperatures(*pairs)
    monkeypatch.setattr(temperature_fit, "PAIR_READ_ITEMS", read_items)
    assert fit_temperatures(*pairs) == expected


def test_unpaired_items_are_rivals_and_no_queries():
    """Ten images without a caption and twenty captions of no image more than in the pairs."""
    _, images, texts = make_pairs(n_images=50)
    owners = np.append(np.repeat(np.arange(40), 3), np.full(30, -1))
    ids = [f"text{i}" for i in range(150)]
    split = Split([f"image{i}" for i in range(50)], [""] * 50, ids, ["a caption"] * 150, owners)
    fits = fit_temperatures(split, images, texts)
    for direction, queries in (("t2i", 120), ("i2t", 40)):
        fit = fits[direction]
        assert fit.n_queries == queries
        assert fit.nll == pytest.approx(mean_nll(images, texts, owners, direction, fit.temperature), abs=1e-4)
