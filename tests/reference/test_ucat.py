import pytest

from overtop.evaluation.robustness import harmonic_mean
from overtop.reference.ucat import DATASETS, further_datasets, missing_datasets, read_ucat_table


def test_main_table_equals_the_paper():
    table = read_ucat_table("ucat")
    assert list(table) == ["clip", "tecoa", "fare", "pmg_aft", "tga", "ucat"]
    assert table["ucat"] == {"clean": 54.17, "pgd": 32.20, "cw": 31.41, "aa": 30.58, "harmonic": 39.09}
    assert table["clip"]["aa"] == 0.51


@pytest.mark.parametrize("objective", ["clip", "tecoa", "fare", "pmg_aft", "tga", "ucat"])
def test_printed_harmonic_means_are_those_of_the_printed_averages(objective):
    row = read_ucat_table("ucat")[objective]
    assert harmonic_mean(row["clean"], row["aa"]) == pytest.approx(row["harmonic"], abs=0.015)


def test_ablation_equals_the_paper():
    table = read_ucat_table("ucat_ablation")
    assert table["reverse_dirichlet"] == {"clean": 36.7, "pgd": 25.0, "aa": 24.4}
    assert table["kl_clean_attacked"]["clean"] == 45.0
    assert table["ucat"]["aa"] == 30.6


def test_sixteen_data_sets_are_known_by_several_names():
    assert len(DATASETS) == 16
    assert missing_datasets([name.upper() for name in DATASETS]) == []
    renamed = ["tiny-imagenet-200", "pets", "aircraft", "cars", "flowers"]
    of_paper = ("tinyimagenet", "oxfordpets", "fgvcaircraft", "stanfordcars", "flowers102")
    others = [name for name in DATASETS if name not in of_paper]
    assert missing_datasets([*renamed, *others]) == []
    assert further_datasets([*renamed, *others]) == []


def test_missing_and_further_data_sets_are_named():
    names = [name for name in DATASETS if name != "dtd"]
    assert missing_datasets(names) == ["dtd"]
    assert further_datasets([*names, "shapes-classes"]) == ["shapes-classes"]
