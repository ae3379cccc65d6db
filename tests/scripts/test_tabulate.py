"""The script end to end: metrics and recalls in, a table in its forms out."""

from types import SimpleNamespace

import pandas as pd
import pytest

from helpers.metric_rows import metrics, recalls
from helpers.scripts import load_script
from overtop.errors import OvertopError
from overtop.reference.recalls import RECALL_COLUMNS
from overtop.storage.files import write_table

script = load_script("tabulate")

SPEC = {"datasets": ["mscoco"], "posteriors": ["l14"], "reference": "table1", "protocols": ["published"]}


@pytest.fixture
def job(tmp_path):
    given = metrics(("mscoco",), ("published", "corrected"), ("equal_width", "equal_count"))
    write_table(tmp_path / "metrics.parquet", given.assign(architecture="ViT-L-14"))
    for member in ("deterministic-0", "mc_dropout-0"):
        write_table(tmp_path / f"{member}.csv", recalls({("mscoco", member): -3.0 if "mc" in member else 0.0}))
    return SimpleNamespace(
        input=SimpleNamespace(
            metrics=[tmp_path / "metrics.parquet"],
            recalls=[tmp_path / "deterministic-0.csv", tmp_path / "mc_dropout-0.csv"],
        ),
        output=SimpleNamespace(
            csv=tmp_path / "t.csv", members=tmp_path / "t-members.csv", md=tmp_path / "t.md", tex=tmp_path / "t.tex"
        ),
        params=SimpleNamespace(spec=SPEC, benchmarks={"mscoco": "coco"}),
        wildcards=SimpleNamespace(table="t"),
    )


def test_the_table_holds_what_is_declared_beside_what_is_published(job):
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
        assert "Rests on encoders" in path.read_text()


def test_other_splits_are_not_held_against_the_papers_test_split(job):
    job.params.spec = SPEC | {"split": "val"}
    script.main(job)
    assert pd.read_csv(job.output.csv)["paper_neg_sr2"].isna().all()


def test_nothing_has_to_be_checked(job):
    job.input.recalls = []
    job.params.spec = SPEC | {"reference": None}
    script.main(job)
    assert job.output.members.read_text() == ",".join(RECALL_COLUMNS) + "\n"
    table = pd.read_csv(job.output.csv)
    assert "paper_neg_sr2" not in table
    assert set(table["members_unchecked"]) == {1}


def test_a_table_of_nothing_is_refused(job):
    job.params.spec = SPEC | {"estimators": ["margin"]}
    with pytest.raises(OvertopError, match=r"tables\.t: nothing was measured"):
        script.main(job)
