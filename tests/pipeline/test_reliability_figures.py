"""Mistakes in figures of kind `reliability`; `test_loading` has those of all other sections."""

import pytest

from overtop.errors import OvertopError
from overtop.pipeline.loading import load_config

VALUES = {
    "datasets": {
        "shapes": {"kind": "shapes", "images": {"train": 64, "val": 16, "test": 16}},
        "classes": {
            "kind": "classes",
            "files": {"layout": "shapes", "images": {"train": 64, "val": 16, "test": 16}},
        },
    },
    "encoders": {"clip": {"architecture": "ViT-B-32", "tag": "openai"}},
    "attacks": {"pgd": {"kind": "pgd", "epsilon": 1}, "cw": {"kind": "cw", "epsilon": 1}},
    "posteriors": {},
    "tables": {},
    "robustness": {"study": {"models": {"CLIP": ["clip"]}, "datasets": ["classes", "shapes"], "attacks": ["pgd"]}},
}
FIGURE = {"kind": "reliability", "robustness": "study", "dataset": "classes", "attack": "pgd"}


def load(**changes):
    return load_config({**VALUES, "figures": {"f": FIGURE | changes}})


def test_valid_figure_is_accepted():
    assert load(models=["CLIP"]).figures["f"].probabilities == ["model", "fitted"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"robustness": "stdy"}, r"figures\.f\.robustness: no robustness study 'stdy'; did you mean 'study'"),
        ({"dataset": "shapes"}, r"figures\.f\.dataset: no data set of classes in the study 'shapes'"),
        ({"attack": "cw"}, r"figures\.f\.attack: no attack of the study 'cw'"),
        ({"models": ["Clip"]}, r"figures\.f\.models: no model of the study 'Clip'; did you mean 'CLIP'"),
        ({"probabilities": ["softmax"]}, r"probabilities"),
    ],
)
def test_mistake_is_one_line_with_the_key(changes, message):
    with pytest.raises(OvertopError, match=message) as caught:
        load(**changes)
    assert "\n" not in str(caught.value)


def test_study_of_a_data_set_that_was_removed_is_named():
    datasets = {"shapes": VALUES["datasets"]["shapes"]}
    with pytest.raises(OvertopError, match=r"robustness\.study\.datasets\.dataset: no data set 'classes'"):
        load_config({**VALUES, "datasets": datasets, "figures": {"f": FIGURE}})
