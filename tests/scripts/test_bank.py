"""`bank` and `rank` as the pipeline runs them: shards of a split and of its bank in, a ranking with both forms out."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import compute_uncertainty
from overtop.retrieval import approximate
from overtop.retrieval.bank import compute_normalisations
from overtop.retrieval.normalisation import read_bank, read_normalisations
from overtop.retrieval.ranking import read_ranking
from overtop.retrieval.temperature import Temperatures
from overtop.storage.shards import ArraySource, write_shard
from overtop.storage.split import Split, split_from_labels, write_split
from overtop.terms import BANK_ESTIMATORS

bank, evaluate, rank = (load_script(name) for name in ("bank", "evaluate", "rank"))

N_IMAGES, N_TEXTS = 5, 10
TEMPERATURE = {"softmax": 0.02, "dirichlet": 0.05}
SPEC = {"dataset": "d", "split": "val", "size": None, "seed": 0, "label": "d/val"}


def write_embeddings(folder, prefix, seed):
    """Write the shards of a split and return their paths and embeddings, images first."""
    rng = np.random.default_rng(seed)
    paths, embeddings = [], []
    for modality, count in (("image", N_IMAGES), ("text", N_TEXTS)):
        rows = (1 + rng.normal(size=(count, 6))).astype(np.float32)
        path = folder / prefix / f"{modality}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        provenance = {"dataset": "d", "encoder": {"name": "e"}, "sampling": "s", "shard": 0, "shards": 1}
        write_shard(path, rows[None], [f"{prefix}{i}" for i in range(count)], np.ones(count, bool), provenance)
        paths.append([path])
        embeddings.append(rows)
    return paths, embeddings


@pytest.fixture
def jobs(tmp_path):
    """The jobs of both scripts, by script, and the embeddings of the split and of the bank."""
    (image, text), evaluated = write_embeddings(tmp_path, "test", 0)
    (bank_image, bank_text), own = write_embeddings(tmp_path, "val", 1)
    owner = np.repeat(np.arange(N_IMAGES), N_TEXTS // N_IMAGES)
    ids = [f"test{i}" for i in range(N_TEXTS)]
    write_split(tmp_path / "split.parquet", Split(ids[:N_IMAGES], [""] * N_IMAGES, ids, ["words"] * N_TEXTS, owner))
    shards = {"image": image, "text": text, "bank_image": bank_image, "bank_text": bank_text, "temperatures": None}
    params = {"temperature": TEMPERATURE, "passes": None, "spec": SPEC, "search": "stream", "top": 3}
    files = {"split": tmp_path / "split.parquet", "bank": tmp_path / "bank.h5"}

    def make(output):
        inputs = SimpleNamespace(**shards, **files)
        return SimpleNamespace(input=inputs, params=SimpleNamespace(**params), output=[tmp_path / output])

    return make("bank.h5"), make("ranking.h5"), evaluated, own


def test_bank_and_ranking_have_the_offsets_of_the_library_and_a_provenance(jobs):
    bank_job, rank_job, evaluated, own = jobs
    bank.main(bank_job)
    rank.main(rank_job)
    sources = (ArraySource([rows]) for rows in (*evaluated, *own))
    expected = compute_normalisations(*sources, {"t2i": 0.02, "i2t": 0.02})
    galleries = {"t2i": [f"test{i}" for i in range(N_IMAGES)], "i2t": [f"test{i}" for i in range(N_TEXTS)]}
    written, attributes = read_normalisations(bank_job.output[0], galleries), read_bank(bank_job.output[0])
    rankings, provenance = read_ranking(rank_job.output[0])
    assert provenance["bank"] == attributes
    assert attributes["label"] == "d/val"
    assert attributes["queries"] == {"t2i": N_TEXTS, "i2t": N_IMAGES}
    assert len(attributes["fingerprint"]) == 12
    for direction, normalisation in expected.items():
        assert set(rankings[direction].normalised) == set(BANK_ESTIMATORS)
        for name, offsets in normalisation.offsets.items():
            np.testing.assert_array_equal(written[direction].offsets[name], offsets)


def test_posterior_without_a_bank_has_neither_offsets_nor_provenance(jobs):
    _, rank_job, _, _ = jobs
    rank_job.input.bank = []
    rank.main(rank_job)
    rankings, provenance = read_ranking(rank_job.output[0])
    assert "bank" not in provenance
    assert not any(ranking.normalised for ranking in rankings.values())


@pytest.mark.parametrize("search", ["flat", "hnsw"])
def test_ranking_by_a_search_index_allows_the_same_estimators(jobs, search, caplog):
    """The index returns all items of this small gallery."""
    bank_job, rank_job, *_ = jobs
    bank.main(bank_job)
    rank.main(rank_job)
    exact, provenance = read_ranking(rank_job.output[0])
    rank_job.params.search = search
    rank.main(rank_job)
    rankings, provenance_of_index = read_ranking(rank_job.output[0])
    assert provenance == provenance_of_index
    for direction, ranking in rankings.items():
        inputs, expected = (
            EstimatorInputs(each, temperatures=Temperatures(**TEMPERATURE)) for each in (ranking, exact[direction])
        )
        np.testing.assert_array_equal(ranking.truncation_bound, np.zeros((len(ranking.query_ids), 2)))
        for name in ("max_softmax", "entropy", "energy", "dirichlet_entropy", "dirichlet_vacuity", *BANK_ESTIMATORS):
            values = compute_uncertainty(name, inputs, "corrected")
            np.testing.assert_allclose(values, compute_uncertainty(name, expected, "corrected"), rtol=1e-3, atol=1e-6)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_large_bound_of_a_search_index_is_a_warning_in_the_log_and_in_the_file(jobs, monkeypatch, caplog):
    monkeypatch.setattr(approximate, "SPARE_ITEMS", 0)
    _, rank_job, *_ = jobs
    rank_job.input.bank = []
    rank_job.params.search = "flat"
    rank.main(rank_job)
    [message] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert message.startswith("the search index leaves out items")
    assert "raise ranking.top (now 3), or set ranking.search to stream" in message
    for ranking in read_ranking(rank_job.output[0])[0].values():
        assert (ranking.truncation_bound > 0).all()


def test_bank_of_the_evaluated_queries_is_refused(jobs):
    bank_job, *_ = jobs
    bank_job.input.bank_image, bank_job.input.bank_text = bank_job.input.image, bank_job.input.text
    with pytest.raises(OvertopError, match="query 'test0' is evaluated and in the bank"):
        bank.main(bank_job)


def test_bank_of_a_data_set_of_classes_has_its_classes_and_other_images(jobs):
    """The classes have the same names in every split; only images are queries."""
    bank_job, rank_job, evaluated, own = jobs
    bank_job.input.bank_text = bank_job.input.text
    ids = [f"test{i}" for i in range(N_IMAGES)]
    names = [f"class {i}" for i in range(N_TEXTS)]
    split = split_from_labels(ids, [""] * N_IMAGES, [[i] for i in range(N_IMAGES)], names, ["{c}"])
    write_split(bank_job.input.split, split)
    bank.main(bank_job)
    written = read_normalisations(bank_job.output[0], {"i2t": [f"test{i}" for i in range(N_TEXTS)]})
    sources = (ArraySource([rows]) for rows in (*evaluated, own[0], evaluated[1]))
    expected = compute_normalisations(*sources, {"i2t": 0.02})
    for name, offsets in expected["i2t"].offsets.items():
        np.testing.assert_array_equal(written["i2t"].offsets[name], offsets)
    bank_job.input.bank_image = bank_job.input.image
    with pytest.raises(OvertopError, match="query 'test0' is evaluated and in the bank"):
        bank.main(bank_job)


def test_metrics_name_the_bank_only_for_estimators_that_need_one():
    metrics = pd.DataFrame({"estimator": ["margin", "bank_nnn"]})
    columns = evaluate.bank_columns(metrics, {"bank": {"label": "d/val/9", "fingerprint": "abc"}})
    assert columns == {"bank": ["", "d/val/9"], "bank_fingerprint": ["", "abc"]}
    assert evaluate.bank_columns(metrics[:1], {}) == {"bank": [""], "bank_fingerprint": [""]}
