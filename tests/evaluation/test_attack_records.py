import pytest

from overtop.evaluation.attack_checks import Perturbations
from overtop.evaluation.attack_records import combine_perturbations, describe_attack

PGD = {
    "name": "pgd-1", "kind": "pgd", "epsilon": 1.0, "steps": 100, "step": 0.5, "restarts": 2, "early_stop": False,
    "seed": 3, "precision": "fp32", "image_size": 224,
}  # fmt: skip
DLR = {
    "name": "dlr", "kind": "apgd-dlr", "epsilon": 0.25, "steps": 50, "restarts": 1, "seed": 0, "precision": "fp32",
    "image_size": [48, 64], "library": "pyautoattack 0.2.0", "ran": "apgd-dlr",
}  # fmt: skip


def test_description_of_pgd_is_its_full_specification():
    assert describe_attack([PGD]) == (
        "PGD on the cross-entropy, L-infinity, epsilon 1/255, 100 steps of 0.5/255, random start, 2 restarts, "
        "last iterate, seed 3; fp32, images of 224 pixels"
    )


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"kind": "cw"}, "CW margin, L-infinity"),
        ({"early_stop": True}, "first wrong iterate"),
        ({"steps": 0}, "epsilon 1/255, uniform noise only, 2 restarts, seed 3"),
    ],
)
def test_description_tells_variants_apart(changes, part):
    assert part in describe_attack([{**PGD, **changes}])


def test_description_of_a_library_attack_names_the_library_and_replacements():
    text = describe_attack([DLR, {**DLR, "ran": "apgd-ce", "image_size": 48}])
    assert text == (
        "APGD on the difference of logits ratio, L-infinity, epsilon 0.25/255, 50 steps, random start, 1 restart, "
        "pyautoattack 0.2.0, apgd-ce instead where there are too few classes, clean pixels where it fails, seed 0; "
        "fp32, images of 48 x 64 or 48 pixels"
    )


def test_worst_case_describes_only_parts_that_are_not_described_elsewhere():
    record = {"name": "aa", "kind": "worst", "of": [PGD, DLR]}
    start = "for each image the worst of the clean image and pgd-1, dlr ("
    text = describe_attack([record, record], described=["pgd-1"])
    assert text.startswith(start + "APGD on the difference")
    assert describe_attack([record], described=["pgd-1", "dlr"]).endswith("and pgd-1, dlr")


def test_perturbations_of_parts_are_combined_to_the_extremes():
    parts = [Perturbations(0.5, 0.1, 0.9), Perturbations(0.75, 0.0, 0.8)]
    assert combine_perturbations(parts) == Perturbations(0.75, 0.0, 0.9)
