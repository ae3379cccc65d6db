"""The accuracies that UCAT reports (arXiv 2512.12997), averaged over 16 data sets, for ViT-B/32 of OpenAI.

`ucat.csv` has its main table, `ucat_ablation.csv` that of the terms of the objective, both in percent. `objective` is
our name of it, `clip` for the encoder before fine-tuning; `aa` is the worst case of APGD-CE and APGD-DLR. All attacks
have epsilon 1/255, PGD and CW 100 steps; `harmonic` is the harmonic mean of the averages `clean` and `aa`.
"""

from collections.abc import Collection, Mapping
from functools import cache
from importlib import resources
from typing import Literal

import pandas as pd

UcatTableName = Literal["ucat", "ucat_ablation"]

DATASETS: Mapping[str, frozenset[str]] = {
    name: frozenset([name, *aliases])
    for name, *aliases in (
        ("tinyimagenet", "tinyimagenet200"),
        ("cifar10",),
        ("cifar100",),
        ("stl10",),
        ("sun397",),
        ("food101",),
        ("oxfordpets", "pets", "oxfordiiitpet"),
        ("flowers102", "flowers", "oxfordflowers102"),
        ("dtd",),
        ("eurosat",),
        ("fgvcaircraft", "aircraft"),
        ("imagenet", "imagenet1k"),
        ("caltech101",),
        ("caltech256",),
        ("stanfordcars", "cars"),
        ("pcam", "patchcamelyon"),
    )
}
"""The 16 data sets, and names that they go by, in small letters and digits only."""


def read_ucat_table(name: UcatTableName) -> Mapping[str, Mapping[str, float]]:
    """The averages in percent, by objective and column (`clean`, `pgd`, `cw`, `aa`, `harmonic`, as far as printed)."""
    return _read(name)


def missing_datasets(names: Collection[str]) -> list[str]:
    """Data sets of the paper that are not among `names`; the averages can be compared only if there are none.

    Case and punctuation of a name do not matter: `tiny-imagenet` is `tinyimagenet`.
    """
    plain = {_plain(name) for name in names}
    return [dataset for dataset, aliases in DATASETS.items() if not aliases & plain]


def further_datasets(names: Collection[str]) -> list[str]:
    """Names that are no data set of the paper."""
    known = frozenset().union(*DATASETS.values())
    return [name for name in names if _plain(name) not in known]


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


@cache
def _read(name: UcatTableName) -> Mapping[str, Mapping[str, float]]:
    with resources.files("overtop.reference").joinpath(f"{name}.csv").open(encoding="utf-8") as file:
        return {str(row.pop("objective")): row for row in pd.read_csv(file).to_dict("records")}
