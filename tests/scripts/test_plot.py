"""The script end to end: curves and metrics of some posteriors in; a figure and its numbers out."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers.scripts import load_script
from overtop.errors import OvertopError
from overtop.storage.files import write_table

plot = load_script("plot")

VALUES = {"r1": {"rate": 0.1, "passes": 50}, "base": {"rate": 0.2, "passes": 50}, "p9": {"rate": 0.2, "passes": 9}}
FIGURE = {"kind": "sensitivity", "dataset": "shapes", "rates": ["base", "r1"], "passes": ["base", "p9"]}


@pytest.fixture
def job(tmp_path, world, first_methods):
    """Every posterior with two estimators and two binnings."""
    files = {"curves": [], "metrics": []}
    for seed, posterior in enumerate(VALUES):
        made = [
            world(directions=("t2i",), pairs=first_methods(6)[-2:], queries=(300,), binning=binning, seed=seed)
            for binning in ("equal_width", "equal_count")
        ]
        ends = {f"{name}{end}": 0.5 for name in ("neg_sr2", "aurc") for end in ("_low", "_high")}
        for what, part in (("curves", 0), ("metrics", 2)):
            rows = pd.concat([frames[part] for frames in made]).assign(posterior=posterior, kind="mc_dropout")
            path = tmp_path / f"{what}-{posterior}.parquet"
            write_table(path, rows.assign(aurc=0.5, **ends) if what == "metrics" else rows)
            files[what].append(path)
    output = {end: tmp_path / f"figure.{end}" for end in ("pdf", "png", "csv")}
    return SimpleNamespace(
        input=SimpleNamespace(**files),
        output=SimpleNamespace(**output),
        params=SimpleNamespace(spec=FIGURE | {"estimator": "top1_consistency"}, values=VALUES),
        wildcards=SimpleNamespace(figure="mine"),
    )


def test_a_sensitivity_figure_and_its_numbers(job):
    plot.main(job)
    found = pd.read_csv(job.output.csv)
    assert found.groupby("varied", sort=False)["posterior"].unique().map(list).to_dict() == {
        "rate": ["r1", "base"],
        "passes": ["p9", "base"],
    }
    assert set(found["estimator"]) == {"top1_consistency"}
    assert set(found["binning"]) == {"equal_width"}
    np.testing.assert_allclose(found.groupby(["varied", "posterior"])["share"].sum(), 1)
    assert job.output.pdf.read_bytes().startswith(b"%PDF")
    assert job.output.png.read_bytes().startswith(b"\x89PNG")


def test_an_estimator_that_was_not_measured_is_an_error_that_names_the_figure(job):
    job.params.spec = FIGURE | {"estimator": "adversarial_pgd"}
    with pytest.raises(OvertopError, match=r"figures\.mine: nothing was measured that it asks for"):
        plot.main(job)
