import numpy as np
import pytest

from overtop.config.attacks import GradientAttack, LibraryAttack, WorstCaseAttack, attack_epsilon
from overtop.evaluation.attack_checks import (
    CHECKS,
    COLUMNS,
    FAILED,
    NOT_APPLICABLE,
    PASSED,
    Perturbations,
    check_attacks,
)
from overtop.evaluation.robustness import DatasetHits
from overtop.terms import CLEAN

SPECS = {
    "pgd-1": GradientAttack(kind="pgd", epsilon=1),
    "pgd-2": GradientAttack(kind="pgd", epsilon=2, step=0.5, seed=3),
    "pgd-1-10": GradientAttack(kind="pgd", epsilon=1, steps=10, seed=1),
    "noise": GradientAttack(kind="pgd", epsilon=1, steps=0),
    "cw-1": GradientAttack(kind="cw", epsilon=1),
    "ce": LibraryAttack(kind="apgd-ce", epsilon=2),
    "aa": WorstCaseAttack(kind="worst", of=["ce", "pgd-1"]),
}
GOOD = {CLEAN: 90, "noise": 88, "pgd-1-10": 6, "pgd-1": 4, "pgd-2": 2, "cw-1": 3, "ce": 1, "aa": 1}
"""Of 100 images, those that are right: the first ones, so that the worst case is right where all its attacks are."""


def make_hits(right):
    return {view: (np.arange(100) < count)[None] for view, count in right.items()}


def run(right=GOOD, changed=(), epsilons=(1.0,), perturbations=None):
    """Results by check of an undefended model that `right` describes and a defended one that passes."""
    right = {**right, **dict(changed)}
    hits = {("plain", view): hit for view, hit in make_hits(right).items()}
    hits |= {("defended", view): hit for view, hit in make_hits(GOOD).items() if view in right}
    records = {
        ("d", model, name): Perturbations(attack_epsilon(SPECS, name) + 1e-5, 0.0, 1.0)
        for model in ("plain", "defended")
        for name in right
        if name != CLEAN
    }
    records |= {("d", "plain", name): record for name, record in (perturbations or {}).items()}
    table = check_attacks([DatasetHits("d", hits)], SPECS, records, frozenset(epsilons), "plain")
    assert table.columns.tolist() == COLUMNS
    assert (table.loc[table["model"] == "defended", "result"] != FAILED).all()
    return table[table["model"] == "plain"].set_index("check")


def test_epsilon_of_a_worst_case_is_the_largest_of_its_parts():
    assert attack_epsilon(SPECS, "aa") == 2


def test_good_attacks_pass_every_check():
    table = run()
    assert table.index.tolist() == list(CHECKS)
    assert (table["result"] == PASSED).all()
    assert "pgd-1-10 6.0%, pgd-1 4.0%" in table.loc["steps", "detail"]


@pytest.mark.parametrize(
    ("changed", "check", "detail"),
    [
        ({"pgd-1": 6, "pgd-1-10": 6, "cw-1": 7}, "undefended", "pgd-1-10 (epsilon 1/255) leaves 6.0%"),
        ({"pgd-2": 5}, "epsilon", "pgd-1 4.0%, pgd-2 5.0%"),
        ({"cw-1": 91}, "epsilon", "clean 90.0%, cw-1 91.0%"),
        ({"pgd-1": 7, "pgd-2": 7}, "steps", "pgd-1-10 6.0%, pgd-1 7.0%"),
        ({"noise": 5}, "steps", "noise 5.0%, pgd-1-10 6.0%"),
        ({"aa": 2}, "worst_case", "1 right under aa and wrong under ce"),
    ],
)
def test_failure_is_found_with_its_numbers(changed, check, detail):
    row = run(changed=changed).loc[check]
    assert row["result"] == FAILED
    assert detail in row["detail"].split("; ")


def test_failed_check_lists_only_what_is_wrong():
    assert run(changed={"pgd-2": 5}).loc["epsilon", "detail"] == "pgd-1 4.0%, pgd-2 5.0%"


@pytest.mark.parametrize(
    ("record", "result"),
    [
        (Perturbations(1.0, 0.0, 1.0), PASSED),
        (Perturbations(1.0005, 0.0, 1.0), PASSED),
        (Perturbations(1.002, 0.0, 1.0), FAILED),
        (Perturbations(1.0, -1e-6, 1.0), FAILED),
        (Perturbations(1.0, 0.0, 1.000001), FAILED),
        (Perturbations(float("nan"), 0.0, 1.0), FAILED),
    ],
)
def test_perturbation_outside_the_ball_or_the_pixel_range_fails(record, result):
    assert run(perturbations={"cw-1": record}).loc["ball", "result"] == result


def test_undefended_model_is_judged_only_at_training_epsilons():
    """The only attack at epsilon 1 is noise, which leaves 88 %; PGD at epsilon 2 breaks the model."""
    views = {name: GOOD[name] for name in (CLEAN, "noise", "pgd-2")}
    assert run(right=views, epsilons=[2.0]).loc["undefended", "result"] == PASSED
    assert run(right=views, epsilons=[1.0, 2.0]).loc["undefended", "result"] == FAILED
    assert run(right=views, epsilons=[4.0]).loc["undefended", "result"] == NOT_APPLICABLE


def test_undefended_model_that_is_never_right_shows_nothing():
    poor = {view: min(right, 5) for view, right in GOOD.items()}
    assert run(right=poor).loc["undefended", "result"] == NOT_APPLICABLE


def test_worst_case_is_compared_image_by_image():
    """The same accuracy, but of another image than the one that the attack leaves right."""
    hits = make_hits(GOOD)
    hits["aa"] = np.roll(hits["aa"], 1)
    datasets = [DatasetHits("d", {("plain", view): hit for view, hit in hits.items()})]
    table = check_attacks(datasets, SPECS, {}, frozenset([1.0]), "plain").set_index("check")
    assert table.loc["worst_case", "result"] == FAILED
    assert table.loc["ball", "result"] == NOT_APPLICABLE
