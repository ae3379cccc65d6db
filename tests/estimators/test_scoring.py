import numpy as np
import pandas as pd
import pytest

from overtop.estimators.evidence import Evidence
from overtop.estimators.registry import ESTIMATORS
from overtop.estimators.scoring import COLUMNS, score_direction
from overtop.radius.compute import radii
from overtop.retrieval.exact import rank
from overtop.retrieval.relevance import positives
from overtop.storage.shards import ArraySource
from overtop.storage.split import Split
from overtop.terms import DIRICHLET_TEMPERATURE, SOFTMAX_TEMPERATURE

N, M = 5, 12
RNG = np.random.default_rng(3)
OWNER = np.sort(np.concatenate([np.arange(N), RNG.integers(0, N, M - N)]))
EXTENDED = [np.unique([own, *RNG.integers(0, N, 2)]) for own in OWNER]
SPLIT = Split(
    image_ids=[f"i{k}" for k in range(N)],
    image_paths=[""] * N,
    caption_ids=[f"c{k}" for k in range(M)],
    captions=["x"] * M,
    image_of_caption=OWNER,
    extended=EXTENDED,
)


def _scored(samples, split=SPLIT, image_ids=None, caption_ids=None):
    image_ids, caption_ids = image_ids or split.image_ids, caption_ids or split.caption_ids
    images = ArraySource([RNG.normal(size=(len(image_ids), 4)) for _ in range(samples)], image_ids)
    texts = ArraySource([RNG.normal(size=(len(caption_ids), 4)) for _ in range(samples)], caption_ids)
    rankings = rank(images, texts, 10, temperatures=(SOFTMAX_TEMPERATURE, DIRICHLET_TEMPERATURE))
    found = radii(images, texts, rankings)
    frames = {}
    for d in rankings:
        size = len(rankings[d].query_ids)
        spread = {"published": RNG.random(size), "corrected": RNG.random(size)}
        frames[d] = score_direction(split, d, Evidence(rankings[d], found[d], spread), list(ESTIMATORS))
    return rankings, frames


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
@pytest.mark.parametrize("extended", [False, True])
def test_positives_are_those_of_a_plain_loop(direction, extended):
    rankings, _ = _scored(1)
    matrix = positives(SPLIT, direction, rankings[direction], extended).toarray()
    for caption in range(M):
        for image in range(N):
            right = image in EXTENDED[caption] if extended else image == OWNER[caption]
            assert matrix[(caption, image) if direction == "t2i" else (image, caption)] == right


def test_hits_follow_from_the_top_item():
    rankings, frames = _scored(3)
    frame = frames["t2i"]
    one = frame[(frame["estimator"] == "top1_similarity") & (frame["protocol"] == "corrected")]
    for (_, row), top in zip(one.iterrows(), rankings["t2i"].top_ids[:, 0], strict=True):
        caption = SPLIT.caption_ids.index(row["query_id"])
        assert row["top1_id"] == SPLIT.image_ids[top]
        assert row["hit"] == (OWNER[caption] == top)
        assert row["hit_extended"] == (top in EXTENDED[caption])


def test_one_row_per_query_estimator_and_protocol():
    _, frames = _scored(3)
    for frame, queries in ((frames["t2i"], M), (frames["i2t"], N)):
        assert list(frame.columns) == COLUMNS
        assert not frame.duplicated(["query_id", "estimator", "protocol"]).any()
        assert len(frame) == queries * sum(len(record.protocols) for record in ESTIMATORS.values())
        assert np.isfinite(frame["uncertainty"]).all()


def test_the_image_of_each_query():
    _, frames = _scored(1)
    assert (frames["i2t"]["image_id"] == frames["i2t"]["query_id"]).all()
    owner = dict(zip(SPLIT.caption_ids, OWNER, strict=True))
    assert all(row.image_id == SPLIT.image_ids[owner[row.query_id]] for row in frames["t2i"].itertuples())


def test_estimators_that_need_votes_are_left_out_of_a_single_sample():
    _, frames = _scored(1)
    assert set(frames["t2i"]["estimator"]) == {n for n, record in ESTIMATORS.items() if "votes" not in record.needs}


def test_queries_whose_own_items_were_skipped_are_left_out():
    kept = [image for image in SPLIT.image_ids if image != "i1"]
    _, frames = _scored(1, image_ids=kept)
    answerable = {SPLIT.caption_ids[c] for c in range(M) if OWNER[c] != 1}
    assert set(frames["t2i"]["query_id"]) == answerable
    assert set(frames["i2t"]["query_id"]) == set(kept)
    assert frames["i2t"]["top1_id"].isin(SPLIT.caption_ids).all()


def test_without_extended_positives_their_column_is_empty():
    bare = Split(SPLIT.image_ids, SPLIT.image_paths, SPLIT.caption_ids, SPLIT.captions, OWNER)
    _, frames = _scored(1, split=bare)
    assert frames["t2i"]["hit_extended"].isna().all()
    assert pd.api.types.is_bool_dtype(frames["t2i"]["hit"])
