"""The scripts from `split` to `score` on a variant: what they read of the base, and galleries without absent items."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.oracles import descending_order, normalise
from helpers.scripts import load_script
from overtop.datasets.embeddings import ImportedEmbeddings, write_imported_shards
from overtop.storage.split import Split, read_split, write_split
from overtop.terms import DIRICHLET_TEMPERATURE, SOFTMAX_TEMPERATURE

N_IMAGES, CAPTIONS_PER_IMAGE = 30, 2
TEMPERATURE = {"softmax": SOFTMAX_TEMPERATURE, "dirichlet": DIRICHLET_TEMPERATURE}
ESTIMATORS = ["top1_similarity", "margin", "adversarial_exact", "max_softmax"]
VARIANT = {"kind": "variant", "of": "base", "absent": 0.4, "seed": 5}


class Inputs(SimpleNamespace):
    """Input files that can be read by name and by position, as Snakemake's."""

    def __getitem__(self, position):
        return list(vars(self).values())[position]


def run_script(name, output, params, **inputs):
    """Run the job of a rule script."""
    wildcards = SimpleNamespace(dataset="variant", split="test")
    job = SimpleNamespace(input=Inputs(**inputs), output=[output], params=params, wildcards=wildcards)
    load_script(name).main(job)


@pytest.fixture(scope="module")
def embeddings():
    """Images (N, D), and captions (M, D) that are noisy copies of their images."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(N_IMAGES, 12)).astype(np.float32)
    noise = rng.normal(size=(N_IMAGES * CAPTIONS_PER_IMAGE, 12))
    return images, (images.repeat(CAPTIONS_PER_IMAGE, axis=0) + 0.8 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def results(tmp_path_factory, embeddings):
    """The split and the scores of the variant."""
    folder = tmp_path_factory.mktemp("variant")
    captions = [f"i{i}#{j}" for i in range(N_IMAGES) for j in range(CAPTIONS_PER_IMAGE)]
    image_of_caption = np.repeat(np.arange(N_IMAGES), CAPTIONS_PER_IMAGE)
    ids = [f"i{i}" for i in range(N_IMAGES)]
    base = Split(ids, [""] * N_IMAGES, captions, ["words"] * len(captions), image_of_caption)
    write_split(folder / "base.parquet", base)
    shards = {modality: folder / f"{modality}.h5" for modality in ("image", "text")}
    imported = ImportedEmbeddings(base, *(array[None] for array in embeddings))
    write_imported_shards(imported, shards, dataset="base", split="test", on_error="fail")
    lists = {modality: [path] for modality, path in shards.items()}
    spec = SimpleNamespace(spec=VARIANT, data="data")
    run_script("split", folder / "split.parquet", spec, base=folder / "base.parquet")
    files = {"split": folder / "split.parquet", **lists}
    params = SimpleNamespace(passes=None, top=5, search="stream", temperature=TEMPERATURE, step=0.025, iterations=50)
    run_script("rank", folder / "ranking.h5", params, **files, temperatures=None, bank=[])
    run_script("radius", folder / "radii.h5", params, **files, ranking=folder / "ranking.h5")
    params = SimpleNamespace(estimators=ESTIMATORS, protocols=["corrected"], temperature=TEMPERATURE)
    measured = {"ranking": folder / "ranking.h5", "radii": folder / "radii.h5"}
    run_script("score", folder / "scores.parquet", params, **files, **measured, spread=None, temperatures=None)
    return read_split(folder / "split.parquet"), pd.read_parquet(folder / "scores.parquet")


def test_scores_are_those_of_a_loop_over_the_items_that_are_present(results, embeddings):
    split, scores = results
    assert split.absent.sum() == 12
    images, texts = map(normalise, embeddings)
    rows = scores[scores["estimator"] == "top1_similarity"].set_index("query_id")
    assert len(rows) == N_IMAGES * (1 + CAPTIONS_PER_IMAGE)
    for query_id, row in rows.iterrows():
        if row["direction"] == "t2i":
            query, gallery, ids = texts[split.caption_ids.index(query_id)], images, split.image_ids
            owner = range(N_IMAGES)
        else:
            query, gallery, ids = images[split.image_ids.index(query_id)], texts, split.caption_ids
            owner = split.image_of_caption
        present = [item for item in range(len(gallery)) if not split.absent[owner[item]]]
        best = present[descending_order(gallery[present] @ query)[0]]
        assert row["top1_id"] == ids[best]
        assert row["hit"] == (split.image_ids[owner[best]] == row["image_id"])
        assert row["absent"] == split.absent[split.image_ids.index(row["image_id"])]
        assert row["uncertainty"] == pytest.approx(1 - gallery[best] @ query, abs=1e-6)


def test_every_estimator_scores_all_queries(results):
    _, scores = results
    assert set(scores["estimator"]) == set(ESTIMATORS)
    assert (scores.groupby(["estimator", "direction"])["absent"].mean() == 0.4).all()
