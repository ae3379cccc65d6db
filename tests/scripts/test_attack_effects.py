"""The script end to end: scores as input, the table of effects as output."""

import pandas as pd
import pytest

from helpers.robustness_inputs import ENCODERS, ESTIMATORS, N_IMAGES, RIGHT, effects_job, uncertainty_of
from helpers.scripts import load_script
from overtop.terms import CLEAN

attack_effects = load_script("attack_effects")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    job = effects_job(tmp_path_factory.mktemp("effects"))
    attack_effects.main(job)
    return pd.read_csv(job.output.csv), job.output.md.read_text()


def test_every_estimator_is_measured_under_every_attack_on_both_sets_of_images(results):
    table, _ = results
    sizes = table.groupby(["dataset", "model", "images"]).size()
    assert len(sizes) == 2 * 2 * 2
    assert (sizes == 3 * len(ESTIMATORS)).all()


def test_verdicts_are_the_signs_that_the_attacks_have(results):
    table, _ = results
    lowered = table["estimator"] == "dirichlet_vacuity"
    assert (table.loc[lowered, "verdict"] == "lowers").all()
    assert (table.loc[~lowered, "verdict"] == "raises").all()


def test_differences_are_of_the_corrected_protocol(results):
    table, _ = results
    row = table.query("dataset == 'captions' and model == 'UCAT' and attack == 'pgd-1' and images == 'all'")
    for estimator, difference in zip(row["estimator"], row["difference"], strict=True):
        views = [{"model": "UCAT", "encoder": encoder} for encoder in ENCODERS["UCAT"]]
        expected = [
            uncertainty_of({**v, "view": "pgd-1"}, estimator) - uncertainty_of({**v, "view": CLEAN}, estimator)
            for v in views
        ]
        assert difference == pytest.approx(sum(map(sum, expected)) / (2 * N_IMAGES), rel=1e-5)


def test_images_that_were_right_before_are_counted_for_each_encoder(results):
    table, _ = results
    before = table.query("images == 'right_before' and model == 'UCAT'")
    right = RIGHT["UCAT", CLEAN]
    assert before["n_pairs"].unique().tolist() == [right + right - 2]
    assert before["n_images"].unique().tolist() == [right]


def test_document_lists_the_uncertainties_of_ucat_first_and_each_estimator_once(results):
    _, text = results
    overview = text.split("### pgd-1")[1].split("###")[0]
    lines = [line.split(" | ")[0].removeprefix("| ") for line in overview.splitlines() if line.startswith("| ")][2:]
    assert lines == ["Dirichlet entropy (AU)", "Dirichlet vacuity (EU)", "Entropy (PU)", "Adversarial (PGD)"]
    assert "| Dirichlet vacuity (EU) | 0 / 2 / 0 | 0 / 2 / 0 | 0 / 2 / 0 | 0 / 2 / 0 |" in overview
    assert "aa-1 stop at the first wrong answer" in text.split("\n## ")[0]
    assert "## Captions, aa-1: images that were right before the attack" in text
