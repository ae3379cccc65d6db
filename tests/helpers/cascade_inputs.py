"""Results of a cheap and an expensive posterior on a random split, for tests of cascades."""

import numpy as np
import pandas as pd

from overtop.evaluation.answers import CascadeInputs, estimator_answers, pair_answers, vote_answers
from overtop.evaluation.voting import count_votes
from overtop.retrieval.ranking import Ranking

N_IMAGES, N_CAPTIONS, N_SAMPLES = 60, 120, 12
CHEAP_ESTIMATOR, EXPENSIVE_ESTIMATOR, PROTOCOL = "margin", "top1_consistency", "corrected"

IMAGE_IDS = [f"i{number}" for number in range(N_IMAGES)]
CAPTION_IDS = [f"c{number}" for number in range(N_CAPTIONS)]
IMAGE_OF_CAPTION = np.repeat(np.arange(N_IMAGES), N_CAPTIONS // N_IMAGES)


def make_cascade_inputs(seed, expensive_noise=0.8, skipped=()):
    """Return results on a split where similarities are a signal for the own item plus noise.

    Args:
        seed: of the similarities.
        expensive_noise: noise of each sample of the expensive posterior.
        skipped: ids of queries without scores.
    """
    rng = np.random.default_rng(seed)
    is_own = IMAGE_OF_CAPTION[:, None] == np.arange(N_IMAGES)
    signal = np.where(is_own, rng.uniform(0.5, 3.5, N_CAPTIONS)[:, None], 0)
    signal = signal + 0.7 * rng.normal(size=signal.shape)
    cheap, expensive, rankings = [], [], {}
    for direction, similarity in (("t2i", signal), ("i2t", signal.T)):
        queries, gallery = (CAPTION_IDS, IMAGE_IDS) if direction == "t2i" else (IMAGE_IDS, CAPTION_IDS)
        samples = similarity[:, None] + expensive_noise * rng.normal(size=(len(queries), N_SAMPLES, len(gallery)))
        mean = samples.mean(axis=1)
        order, votes = np.argsort(-mean, axis=1), samples.argmax(axis=2)
        rankings[direction] = Ranking(queries, gallery, order, -np.sort(-mean, axis=1), votes[:, :, None])
        cheap_similarity = similarity + 0.8 * rng.normal(size=similarity.shape)
        best = -np.sort(-cheap_similarity, axis=1)
        cheap.append(_scores(direction, CHEAP_ESTIMATOR, cheap_similarity.argmax(axis=1), best[:, 1] - best[:, 0]))
        vote_share = (votes == order[:, :1]).mean(axis=1)
        expensive.append(_scores(direction, EXPENSIVE_ESTIMATOR, order[:, 0], 1 - vote_share))
    tables = (pd.concat(frames, ignore_index=True) for frames in (cheap, expensive))
    cheap_scores, expensive_scores = (table[~table["query_id"].isin(skipped)] for table in tables)
    return CascadeInputs(cheap_scores, expensive_scores, rankings)


def _scores(direction, estimator, top1, uncertainty):
    """Return the columns of a score table that cascades use."""
    image_of_caption = np.array(IMAGE_IDS)[IMAGE_OF_CAPTION]
    queries, images = (CAPTION_IDS, image_of_caption) if direction == "t2i" else (IMAGE_IDS, np.array(IMAGE_IDS))
    gallery_images = np.array(IMAGE_IDS) if direction == "t2i" else image_of_caption
    return pd.DataFrame(
        {
            "query_id": queries,
            "image_id": images,
            "direction": direction,
            "estimator": estimator,
            "protocol": PROTOCOL,
            "uncertainty": uncertainty,
            "hit": gallery_images[top1] == images,
        }
    )


def cheap_answers(inputs, direction):
    """Return the answers of the cheap posterior."""
    return estimator_answers(inputs.cheap, direction, CHEAP_ESTIMATOR, PROTOCOL)


def count_top1_votes(ranking):
    """Return the votes of the samples for their top-1."""
    return count_votes(ranking.sample_top[:, :, 0])


def voted_pairs(inputs, direction, error=0.1):
    """Return the cheap answers paired with those of a stopping rule that errs with probability `error`."""
    vote = count_top1_votes(inputs.rankings[direction]).when_settled(error)
    return pair_answers(cheap_answers(inputs, direction), vote_answers(inputs, direction, vote))
