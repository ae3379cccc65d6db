import pytest

from helpers.pipeline import read_committed_config
from overtop.config.reports import ReportSpec
from overtop.pipeline.loading import load_config
from overtop.pipeline.reports import operating_posteriors, shown_entries, shown_posteriors, shown_splits

OPERATING = "results/operating/flickr8k-clip/test/imported.csv"


@pytest.fixture(scope="module")
def config(repo):
    values = read_committed_config(repo)
    return load_config({**values, "targets": [*values["targets"], OPERATING]})


def test_posteriors_of_several_tables_are_listed_once_in_their_order(config):
    spec = ReportSpec(tables=["demo", "shapes-absent", "demo"])
    posteriors = shown_posteriors(config, spec)
    names = ("shapes", "shapes-dropout", "shapes-ensemble")
    assert posteriors == [(dataset, "test", name) for dataset in ("shapes", "shapes-absent") for name in names]
    assert shown_splits(config, spec) == [("shapes", "test"), ("shapes-absent", "test")]


def test_operating_points_are_those_of_the_targets(config):
    assert operating_posteriors(config, ReportSpec(tables=["demo"])) == []
    assert operating_posteriors(config, ReportSpec(tables=["demo", "imported"])) == [
        ("flickr8k-clip", "test", "imported")
    ]


def test_entries_are_the_declared_values_of_what_is_shown(config):
    entries = shown_entries(config, ReportSpec(tables=["shapes-absent"], robustness=["scenes"]))
    assert entries["posteriors.shapes"] == {"kind": "deterministic", "encoder": "shapes-0"}
    assert entries["datasets.shapes-absent"] == {"kind": "variant", "of": "shapes", "absent": 0.5}
    assert entries["tables.shapes-absent"]["posteriors"] == ["shapes", "shapes-dropout", "shapes-ensemble"]
    assert {"seed", "bank", "datasets.shapes", "encoders.shapes-4", "robustness.scenes"} <= set(entries)
    assert "datasets.flickr8k" not in entries


def test_imported_embeddings_have_no_encoder_entry(config):
    entries = shown_entries(config, ReportSpec(tables=["imported"]))
    assert not [place for place in entries if place.startswith("encoders.")]
