"""The script end to end: metrics and recalls as input, a table in all its forms as output."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from helpers.scripts import load_script
from helpers.synthetic_tables import make_metrics, make_recalls
from overtop.errors import OvertopError
from overtop.evaluation.recall import RECALL_COLUMNS
from overtop.storage.tables import write_table

script = load_script("table")

SPEC = {"datasets": ["mscoco"], "posteriors": ["l14"], "reference": "table1", "protocols": ["published"]}


@pytest.fixture
def job(tmp_path):
    metrics = make_metrics(("mscoco",), ("published", "corrected"), ("equal_width", "equal_count"))
    write_table(tmp_path / "metrics.parquet", metrics.assign(architecture="ViT-L-14"))
    for member, difference in (("deterministic-0", 0.0), ("mc_dropout-0", -3.0)):
        write_table(tmp_path / f"{member}.csv", make_recalls({("mscoco", member): difference}))
    return SimpleNamespace(
        input=SimpleNamespace(
            metrics=[tmp_path / "metrics.parquet"],
            recalls=[tmp_path / "deterministic-0.csv", tmp_path / "mc_dropout-0.csv"],
        ),
        output=SimpleNamespace(
            csv=tmp_path / "t.csv",
            members=tmp_path / "t-members.csv",
            summary=tmp_path / "t.json",
            md=tmp_path / "t.md",
            tex=tmp_path / "t.tex",
        ),
        params=SimpleNamespace(spec=SPEC, benchmarks={"mscoco": "coco"}),
        wildcards=SimpleNamespace(table="t"),
    )


def test_table_contains_the_declared_rows_and_the_published_numbers(job):
    script.main(job)
    table, members = pd.read_csv(job.output.csv), pd.read_csv(job.output.members)
    assert set(table["protocol"]) == {"published"}
    assert (table["paper_neg_sr2"].notna() == (table["binning"] == "equal_width")).all()
    assert set(table.loc[table["kind"] == "mc_dropout", "members_off"]) == {"mc_dropout-0"}
    assert table.loc[table["kind"] == "deterministic", "members_off"].isna().all()
    assert list(members) == RECALL_COLUMNS
    assert list(members["encoder"].unique()) == ["deterministic-0", "mc_dropout-0"]
    for path in (job.output.md, job.output.tex):
        assert "Table 1 of Gomez" in path.read_text()
        assert "Includes encoders whose recall differs" in path.read_text()


def test_summary_has_the_key_numbers_of_each_posterior(job):
    script.main(job)
    table, summary = pd.read_csv(job.output.csv), json.loads(job.output.summary.read_text())
    assert list(summary) == ["mscoco"]
    assert list(summary["mscoco"]["i2t"]) == ["my-deterministic", "my-mc_dropout"]
    row = table.query("direction == 'i2t' and kind == 'mc_dropout' and estimator == 'top1_similarity'").iloc[0]
    assert summary["mscoco"]["i2t"]["my-mc_dropout"] == {
        "recall_at_1": pytest.approx(row["recall_at_1"], abs=1e-6),
        "aurc": {"top1_similarity": pytest.approx(row["aurc"], abs=1e-6)},
    }


def test_other_splits_are_not_compared_with_the_papers_test_split(job):
    job.params.spec = SPEC | {"split": "val"}
    script.main(job)
    assert pd.read_csv(job.output.csv)["paper_neg_sr2"].isna().all()


def test_table_without_checked_encoders_has_empty_members(job):
    job.input.recalls = []
    job.params.spec = SPEC | {"reference": None}
    script.main(job)
    assert job.output.members.read_text() == ",".join(RECALL_COLUMNS) + "\n"
    table = pd.read_csv(job.output.csv)
    assert "paper_neg_sr2" not in table
    assert set(table["members_unchecked"]) == {1}


def test_table_without_rows_is_rejected(job):
    job.params.spec = SPEC | {"estimators": ["margin"]}
    with pytest.raises(OvertopError, match=r"tables\.t: no rows"):
        script.main(job)
