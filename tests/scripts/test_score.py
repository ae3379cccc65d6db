"""`score` as the pipeline runs it: split, ranking, radii and spread in, one table of scores out."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.rankings import make_ranking
from helpers.scripts import load_script
from overtop.adapters.spread import Spread, write_spread
from overtop.errors import OvertopError
from overtop.estimators.inputs import EstimatorInputs
from overtop.estimators.scoring import COLUMNS, compute_uncertainty
from overtop.radius.radii import PublishedRadius, Radii, Radius, write_radii
from overtop.retrieval.ranking import write_ranking
from overtop.retrieval.temperature import Temperatures
from overtop.storage.split import Split, write_split
from overtop.storage.tables import read_table_metadata
from overtop.terms import DIRECTIONS, PROTOCOLS

score = load_script("score")

QUERIES = 4
TEMPERATURE = {"softmax": 0.02, "dirichlet": 0.05}


def random_measurements(seed):
    """Ranking, radii and spread of one direction in which every image has one caption."""
    rng = np.random.default_rng(seed)
    ranking = make_ranking(rng.normal(0.2, 0.05, (QUERIES, QUERIES)), tuple(TEMPERATURE.values()))
    exact = rng.random(QUERIES), np.ones(QUERIES, bool), ranking.top_ids[:, 0]
    radii = Radii(PublishedRadius(*exact, *rng.random((2, QUERIES))), Radius(*exact))
    spread = Spread(ranking.query_ids, {protocol: rng.random(QUERIES) for protocol in PROTOCOLS})
    return ranking, radii, spread


@pytest.fixture
def measurements(tmp_path):
    """The measurements by direction; their files are in `tmp_path`."""
    measurements = {direction: random_measurements(seed) for seed, direction in enumerate(DIRECTIONS)}
    rankings, radii, spreads = ({direction: row[i] for direction, row in measurements.items()} for i in range(3))
    ids = rankings["t2i"].query_ids
    write_split(tmp_path / "split.parquet", Split(ids, [""] * QUERIES, ids, ["words"] * QUERIES, np.arange(QUERIES)))
    write_ranking(tmp_path / "ranking.h5", rankings, {"encoders": [{"name": "tiny"}]})
    write_radii(tmp_path / "radii.h5", radii, {})
    write_spread(tmp_path / "spread.h5", spreads, {})
    return measurements


def make_job(folder, spread):
    inputs = {"split": "split.parquet", "ranking": "ranking.h5", "radii": "radii.h5"}
    paths = {name: folder / file for name, file in inputs.items()}
    return SimpleNamespace(
        input=SimpleNamespace(**paths, spread=spread, temperatures=None),
        output=[folder / "scores.parquet"],
        params=SimpleNamespace(
            temperature=TEMPERATURE, estimators=["entropy", "adversarial_exact", "probvlm"], protocols=["corrected"]
        ),
    )


def test_scores_contain_the_uncertainties_of_both_directions_and_the_provenance(measurements, tmp_path):
    score.main(make_job(tmp_path, tmp_path / "spread.h5"))
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    assert list(scores) == COLUMNS
    assert json.loads(read_table_metadata(tmp_path / "scores.parquet")["provenance"])["encoders"] == [{"name": "tiny"}]
    assert len(scores) == 2 * 3 * QUERIES
    for (direction, name), rows in scores.groupby(["direction", "estimator"]):
        ranking, radii, spread = measurements[direction]
        inputs = EstimatorInputs(ranking, radii, spread.variance, Temperatures(**TEMPERATURE))
        np.testing.assert_array_equal(rows["uncertainty"], compute_uncertainty(name, inputs, "corrected"))


@pytest.mark.usefixtures("measurements")
def test_posterior_without_an_adapter_leaves_out_probvlm(tmp_path):
    score.main(make_job(tmp_path, spread=None))
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    assert set(scores["estimator"]) == {"entropy", "adversarial_exact"}


@pytest.mark.usefixtures("measurements")
def test_posterior_without_any_applicable_estimator_is_refused(tmp_path):
    job = make_job(tmp_path, spread=None)
    job.params.estimators = ["probvlm", "top1_consistency"]
    with pytest.raises(
        OvertopError, match="none of the estimators .*: probvlm needs .* adapter.*; top1_consistency needs sev"
    ):
        score.main(job)
    assert not job.output[0].exists()


@pytest.mark.usefixtures("measurements")
def test_spread_of_other_queries_is_refused(tmp_path):
    spread = Spread(["other"], {protocol: np.ones(1) for protocol in PROTOCOLS})
    write_spread(tmp_path / "other.h5", dict.fromkeys(DIRECTIONS, spread), {})
    with pytest.raises(OvertopError, match="different queries"):
        score.main(make_job(tmp_path, tmp_path / "other.h5"))
