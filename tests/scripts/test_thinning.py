"""The script end to end: shards, a ranking and scores of two splits as input, one table as output."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from helpers.oracles import cosine_similarities
from helpers.scripts import load_script
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import score_direction
from overtop.estimators.transductive import TRANSDUCTIVE
from overtop.retrieval.exact import rank
from overtop.retrieval.ranking import write_ranking
from overtop.storage.shards import ArraySource, write_shard
from overtop.storage.split import Split
from overtop.storage.tables import write_table
from overtop.terms import DIRECTIONS, SOFTMAX_TEMPERATURE

thinning = load_script("thinning")

IMAGES, SKIPPED, SAMPLES, WIDTH = 30, 4, 2, 8
RANKED = IMAGES - SKIPPED
IDS = [f"i{number}" for number in range(IMAGES)]
SPLIT = Split(IDS, [""] * IMAGES, IDS, ["words"] * IMAGES, np.arange(IMAGES))


def write_inputs(folder, seed):
    """Write the shards of random pairs, and ranking and scores of some of them; returns these images and texts."""
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(SAMPLES, IMAGES, WIDTH)).astype(np.float32)
    texts = images + rng.normal(size=images.shape).astype(np.float32)
    for modality, embedding in (("image", images), ("text", texts)):
        provenance = {"encoder": "e", "sampling": "s", "shard": 0, "shards": 1}
        write_shard(folder / f"{modality}{seed}.h5", embedding, IDS, np.ones(IMAGES, bool), provenance)
    images, texts = images[:, :-SKIPPED], texts[:, :-SKIPPED]
    sources = ArraySource(images, IDS[:-SKIPPED]), ArraySource(texts, IDS[:-SKIPPED])
    rankings = rank(*sources, 10, temperatures=(SOFTMAX_TEMPERATURE,))
    write_ranking(folder / f"ranking{seed}.h5", rankings, {})
    names = ["margin", "max_softmax"]
    scores = [score_direction(SPLIT, d, EstimatorInputs(rankings[d]), names) for d in DIRECTIONS]
    write_table(folder / f"scores{seed}.parquet", pd.concat(scores))
    return images, texts


@pytest.mark.parametrize("has_labelled_split", [True, False])
def test_table_has_both_directions_and_the_learned_bar(tmp_path, has_labelled_split):
    images, texts = write_inputs(tmp_path, 0)
    write_inputs(tmp_path, 1)
    spec = {"kind": "thinning", "dataset": "d", "posterior": "p", "sizes": [10], "draws": 2, "estimators": ["margin"]}
    job = SimpleNamespace(
        input=SimpleNamespace(
            image=[tmp_path / "image0.h5"],
            text=[tmp_path / "text0.h5"],
            ranking=tmp_path / "ranking0.h5",
            scores=tmp_path / "scores0.parquet",
            labelled=tmp_path / "scores1.parquet" if has_labelled_split else [],
            temperatures=[],
        ),
        output=[tmp_path / "thinning.csv"],
        params=SimpleNamespace(spec=spec, passes=None, temperature={"softmax": 0.05, "dirichlet": 0.07}, seed=0),
    )
    thinning.main(job)
    table = pd.read_csv(job.output[0])
    expected = {"margin", *TRANSDUCTIVE} | ({"learned"} if has_labelled_split else set())
    similarity = cosine_similarities(texts, images).mean(axis=0)
    for direction, matrix in (("t2i", similarity), ("i2t", similarity.T)):
        rows = table[(table["direction"] == direction) & (table["n_queries"] == RANKED)].set_index("estimator")
        assert set(rows.index) == expected
        miss = matrix.argmax(axis=1) != np.arange(RANKED)
        uncertainty = TRANSDUCTIVE["sinkhorn"](matrix, 0.05)
        assert rows.loc["sinkhorn", "auroc"] == pytest.approx(roc_auc_score(miss, uncertainty), abs=1e-6)
    assert set(table["n_queries"]) == {10, RANKED}
