import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.registry import REGISTRY
from overtop.estimators.scoring import COLUMNS, score_direction
from overtop.radius.compute import compute_radii
from overtop.retrieval.exact import rank
from overtop.retrieval.galleries import split_retrievals
from overtop.retrieval.normalisation import Normalisation
from overtop.retrieval.relevance import positives_matrix
from overtop.storage.shards import ArraySource
from overtop.storage.split import EccvJudgments, Split
from overtop.terms import BANK_ESTIMATORS, DIRICHLET_TEMPERATURE, ESTIMATORS, PROTOCOLS, SOFTMAX_TEMPERATURE

DEFINED = [(name, protocol) for name in ESTIMATORS for protocol in PROTOCOLS if protocol in REGISTRY[name].protocols]
"""The estimators with the protocols that they exist under, in the order of score tables."""

N_IMAGES, N_CAPTIONS = 5, 12
RNG = np.random.default_rng(3)
IMAGE_OF_CAPTION = np.sort(np.concatenate([np.arange(N_IMAGES), RNG.integers(0, N_IMAGES, N_CAPTIONS - N_IMAGES)]))
EXTENDED = [np.unique([own, *RNG.integers(0, N_IMAGES, 2)]) for own in IMAGE_OF_CAPTION]
SPLIT = Split(
    image_ids=[f"i{k}" for k in range(N_IMAGES)],
    image_paths=[""] * N_IMAGES,
    caption_ids=[f"c{k}" for k in range(N_CAPTIONS)],
    captions=["x"] * N_CAPTIONS,
    image_of_caption=IMAGE_OF_CAPTION,
    extended=EXTENDED,
)


def score_random_embeddings(samples, split=SPLIT, image_ids=None):
    """The rankings and the scores of both directions; `image_ids` are the images that were embedded."""
    image_ids = image_ids or split.image_ids
    sizes = (("t2i", len(image_ids)), ("i2t", len(split.caption_ids)))
    images = ArraySource([RNG.normal(size=(len(image_ids), 4)) for _ in range(samples)], image_ids)
    texts = ArraySource([RNG.normal(size=(len(split.caption_ids), 4)) for _ in range(samples)], split.caption_ids)
    offsets = {direction: dict.fromkeys(BANK_ESTIMATORS, RNG.random(n).astype(np.float32)) for direction, n in sizes}
    normalisations = {
        direction: Normalisation(SOFTMAX_TEMPERATURE, of_items) for direction, of_items in offsets.items()
    }
    temperatures = (SOFTMAX_TEMPERATURE, DIRICHLET_TEMPERATURE)
    rankings = rank(images, texts, N_CAPTIONS, temperatures=temperatures, normalisations=normalisations)
    lengths = compute_radii(images, texts, rankings)
    scores = {}
    for direction, ranking in rankings.items():
        variance = {protocol: RNG.random(len(ranking.query_ids)) for protocol in PROTOCOLS}
        inputs = EstimatorInputs(ranking, lengths[direction], variance)
        scores[direction] = score_direction(split, direction, inputs, ESTIMATORS)
    return rankings, scores


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
@pytest.mark.parametrize("extended", [False, True])
def test_positives_equal_those_of_a_loop_over_pairs(direction, extended):
    rankings, _ = score_random_embeddings(1)
    matrix = positives_matrix(SPLIT, direction, rankings[direction], extended).toarray()
    for caption in range(N_CAPTIONS):
        for image in range(N_IMAGES):
            expected = image in EXTENDED[caption] if extended else image == IMAGE_OF_CAPTION[caption]
            assert matrix[(caption, image) if direction == "t2i" else (image, caption)] == expected


def test_hit_is_whether_the_top1_is_a_positive():
    rankings, scores = score_random_embeddings(3)
    rows = scores["t2i"].query("estimator == 'top1_similarity' and protocol == 'corrected'")
    for (_, row), top1 in zip(rows.iterrows(), rankings["t2i"].top_ids[:, 0], strict=True):
        caption = SPLIT.caption_ids.index(row["query_id"])
        assert row["top1_id"] == SPLIT.image_ids[top1]
        assert row["hit"] == (IMAGE_OF_CAPTION[caption] == top1)
        assert row["hit_extended"] == (top1 in EXTENDED[caption])


def test_scores_of_judged_queries_have_eccv_hits():
    judged = RNG.random(N_CAPTIONS) < 0.5
    judgments = EccvJudgments(EXTENDED, judged, np.ones(N_IMAGES, bool))
    rankings, scores = score_random_embeddings(3, replace(SPLIT, eccv=judgments))
    rows = scores["t2i"].query("estimator == 'margin' and protocol == 'corrected'")
    assert list(rows) == [*COLUMNS, "hit_eccv"]
    for caption, top1 in enumerate(rankings["t2i"].top_ids[:, 0]):
        expected = float(top1 in EXTENDED[caption]) if judged[caption] else np.nan
        assert rows["hit_eccv"].iloc[caption] == pytest.approx(expected, nan_ok=True)
    assert scores["i2t"]["hit_eccv"].notna().all()


def test_scores_have_one_row_per_query_estimator_and_protocol():
    _, scores = score_random_embeddings(3)
    for rows, queries in ((scores["t2i"], N_CAPTIONS), (scores["i2t"], N_IMAGES)):
        assert list(rows.columns) == COLUMNS
        assert not rows.duplicated(["query_id", "estimator", "protocol"]).any()
        assert len(rows) == queries * len(DEFINED)
        assert np.isfinite(rows["uncertainty"]).all()


def test_rows_are_ordered_by_estimator_then_protocol_then_query():
    rankings, scores = score_random_embeddings(3)
    expected = [(*combination, query) for combination in DEFINED for query in rankings["t2i"].query_ids]
    rows = scores["t2i"][["estimator", "protocol", "query_id"]]
    assert list(rows.itertuples(index=False, name=None)) == expected


def test_image_id_is_the_query_or_the_image_of_the_caption():
    _, scores = score_random_embeddings(1)
    assert (scores["i2t"]["image_id"] == scores["i2t"]["query_id"]).all()
    image = dict(zip(SPLIT.caption_ids, IMAGE_OF_CAPTION, strict=True))
    assert all(row.image_id == SPLIT.image_ids[image[row.query_id]] for row in scores["t2i"].itertuples())


def test_one_sample_leaves_out_estimators_that_need_several():
    _, scores = score_random_embeddings(1)
    expected = {name for name, estimator in REGISTRY.items() if "samples" not in estimator.needs}
    assert set(scores["t2i"]["estimator"]) == expected


def test_only_the_requested_protocols_are_scored():
    rankings, _ = score_random_embeddings(1)
    rows = score_direction(SPLIT, "t2i", EstimatorInputs(rankings["t2i"]), ["margin"], ["published"])
    assert set(rows["protocol"]) == {"published"}


def test_queries_without_a_positive_in_the_gallery_are_left_out():
    embedded = [image for image in SPLIT.image_ids if image != "i1"]
    _, scores = score_random_embeddings(1, image_ids=embedded)
    expected = {SPLIT.caption_ids[c] for c in range(N_CAPTIONS) if IMAGE_OF_CAPTION[c] != 1}
    assert set(scores["t2i"]["query_id"]) == expected
    assert set(scores["i2t"]["query_id"]) == set(embedded)
    assert scores["i2t"]["top1_id"].isin(SPLIT.caption_ids).all()


def test_queries_with_absent_positives_remain_and_are_misses():
    """Image 1 is absent and image 2 was skipped; the extended positives of a caption may still be in the gallery."""
    absent = np.array([False, True, False, False, False])
    split = replace(SPLIT, absent=absent)
    embedded = [image for image in SPLIT.image_ids if image != "i2"]
    images = ArraySource([RNG.normal(size=(len(embedded), 4))], embedded)
    texts = ArraySource([RNG.normal(size=(N_CAPTIONS, 4))], SPLIT.caption_ids)
    for retrieval in split_retrievals(split, images, texts):
        (direction,) = retrieval.directions
        ranking = rank(retrieval.images, retrieval.texts, 10)[direction]
        rows = score_direction(split, direction, EstimatorInputs(ranking), ["margin"], ["corrected"])
        own = {c: SPLIT.image_ids[i] for c, i in zip(SPLIT.caption_ids, IMAGE_OF_CAPTION, strict=True)}
        queries = [c for c in SPLIT.caption_ids if own[c] != "i2"] if direction == "t2i" else embedded
        assert rows["query_id"].tolist() == queries
        for row in rows.itertuples():
            assert row.absent == (row.image_id == "i1")
            caption, image = (row.query_id, row.top1_id) if direction == "t2i" else (row.top1_id, row.query_id)
            assert row.hit == (own[caption] == image)
            extended = EXTENDED[SPLIT.caption_ids.index(caption)]
            assert row.hit_extended == (SPLIT.image_ids.index(image) in extended)
        assert not rows.loc[rows["absent"], "hit"].any()
        assert np.isinf(rows.loc[rows["absent"], "rank"]).all()
        assert np.isfinite(rows.loc[rows["absent"], "rank_extended"]).any()


def test_no_query_is_absent_from_complete_galleries():
    _, scores = score_random_embeddings(1)
    assert not scores["t2i"]["absent"].any()


def test_split_without_extended_positives_leaves_their_columns_empty():
    split = Split(SPLIT.image_ids, SPLIT.image_paths, SPLIT.caption_ids, SPLIT.captions, IMAGE_OF_CAPTION)
    _, scores = score_random_embeddings(1, split=split)
    assert scores["t2i"]["hit_extended"].isna().all()
    assert scores["t2i"]["rank_extended"].isna().all()
    assert pd.api.types.is_bool_dtype(scores["t2i"]["hit"])


UNPAIRED = Split(
    image_ids=[f"i{k}" for k in range(8)],
    image_paths=[""] * 8,
    caption_ids=[f"c{k}" for k in range(10)],
    captions=["x"] * 10,
    image_of_caption=np.array([0, 0, 3, 3, 5, 6, -1, -1, -1, -1]),
)
"""Images 1, 2, 4 and 7 have no caption, and the image of four captions is unknown."""


@pytest.mark.parametrize("absent", [None, np.isin(np.arange(8), [0, 3])])
def test_queries_without_a_known_match_are_left_out_and_remain_in_the_gallery(absent, caplog):
    split = replace(UNPAIRED, absent=absent)
    arrays = RNG.normal(size=(8, 4)), RNG.normal(size=(10, 4))
    sources = ArraySource([arrays[0]], split.image_ids), ArraySource([arrays[1]], split.caption_ids)
    units = [array / np.linalg.norm(array, axis=1, keepdims=True) for array in arrays]
    owners, absent_images = UNPAIRED.image_of_caption, [] if absent is None else [0, 3]
    rankings = {}
    for retrieval in split_retrievals(split, *sources):
        rankings |= rank(retrieval.images, retrieval.texts, 10, directions=retrieval.directions)
    with caplog.at_level(logging.INFO):
        rows = {d: score_direction(split, d, EstimatorInputs(rankings[d]), ["margin"], ["corrected"]) for d in rankings}
    assert "t2i: left out 4 of 10 queries, without a known match" in caplog.text
    assert "i2t: left out 4 of 8 queries, without a known match" in caplog.text
    assert rows["t2i"]["query_id"].tolist() == [f"c{k}" for k in range(6)]
    assert rows["i2t"]["query_id"].tolist() == ["i0", "i3", "i5", "i6"]
    for row in rows["t2i"].itertuples():
        caption = int(row.query_id[1:])
        gallery = [image for image in range(8) if image not in absent_images]
        top1 = max(gallery, key=lambda image: units[0][image] @ units[1][caption])
        assert (row.top1_id, row.hit) == (f"i{top1}", top1 == owners[caption])
        assert (row.image_id, row.absent) == (f"i{owners[caption]}", owners[caption] in absent_images)
    for row in rows["i2t"].itertuples():
        image = int(row.query_id[1:])
        gallery = [caption for caption in range(10) if owners[caption] not in absent_images]
        top1 = max(gallery, key=lambda caption: units[0][image] @ units[1][caption])
        assert (row.top1_id, row.hit, row.image_id) == (f"c{top1}", owners[top1] == image, row.query_id)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_split_without_any_known_match_is_one_line_error(direction):
    split = Split(SPLIT.image_ids, SPLIT.image_paths, SPLIT.caption_ids, SPLIT.captions, np.full(N_CAPTIONS, -1))
    images, texts = (ArraySource([RNG.normal(size=(len(n), 4))], n) for n in (split.image_ids, split.caption_ids))
    ranking = rank(images, texts, 5)[direction]
    with pytest.raises(OvertopError, match=rf"^{direction}: none of \d+ queries has a known match, .* `answers`$"):
        score_direction(split, direction, EstimatorInputs(ranking), ["margin"], ["corrected"])
