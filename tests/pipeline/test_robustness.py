import re

import pytest

from overtop.config.figures import RobustnessFigure
from overtop.errors import OvertopError
from overtop.pipeline import robustness as studies
from overtop.pipeline.loading import load_config
from overtop.pipeline.robustness import StudyView

CLASSES = {"kind": "classes", "files": {"layout": "shapes"}}
UCAT = {"from": "plain", "dataset": "shapes-classes", "objective": {"kind": "ucat"}}
VALUES = {
    "sources": {name: {"kind": "folder", "path": name} for name in ("coco-images", "coco-annotations")},
    "datasets": {
        "shapes-classes": CLASSES,
        "captions": {"kind": "shapes"},
        "coco": {
            "kind": "classes",
            "files": {
                "layout": "coco",
                "images": "coco-images",
                "annotations": "coco-annotations",
                "splits": {"test": "instances_val2017.json"},
            },
        },
        "given": {"kind": "embeddings", "splits": {"test": "test.npz"}},
        "absent": {"kind": "variant", "of": "captions", "absent": 0.5},
    },
    "encoders": {
        "plain": {"architecture": "shapes-vit", "train": {"dataset": "captions"}},
        "ucat-0": {"finetune": UCAT},
        "ucat-1": {"finetune": {**UCAT, "seed": 1, "attack": {"epsilon": 2}}},
        "heavy": {"finetune": {**UCAT, "objective": {"kind": "ucat", "weight": 10}}},
        "gelu": {"architecture": "ViT-B-32", "tag": "openai", "activation": "gelu"},
        "taken": {"architecture": "ViT-B-32", "tag": "openai"},
    },
    "attacks": {
        "pgd-1": {"kind": "pgd", "epsilon": 1},
        "pgd-4": {"kind": "pgd", "epsilon": 4},
        "noise": {"kind": "pgd", "epsilon": 1, "steps": 0},
        "ce": {"kind": "apgd-ce", "epsilon": 2},
        "aa": {"kind": "worst", "of": ["ce", "pgd-1"]},
        "own": {"kind": "worst", "of": ["pgd-1", "pgd-4"]},
    },
    "posteriors": {"taken": {"kind": "mc_dropout", "encoder": "plain"}},
    "tables": {},
    "robustness": {
        "mine": {
            "models": {"CLIP": ["plain"], "UCAT": ["ucat-0", "ucat-1"], "10 UCAT": ["heavy"]},
            "datasets": ["shapes-classes", "captions"],
            "multilabel": ["coco"],
            "attacks": ["noise", "pgd-1", "aa", "own", "pgd-4"],
        }
    },
}


def changed(**study):
    """The configuration with other values in the entry of the study."""
    return VALUES | {"robustness": {"mine": VALUES["robustness"]["mine"] | study}}


@pytest.fixture(scope="module")
def config():
    return load_config(VALUES)


@pytest.fixture(scope="module")
def spec(config):
    return config.robustness["mine"]


def test_views_are_every_encoder_clean_and_attacked_data_set_by_data_set(spec):
    views = studies.study_views(spec, ["captions"], ["pgd-1"])
    assert [view.posterior for view in views] == [
        "plain", "plain@pgd-1", "ucat-0", "ucat-1", "ucat-0@pgd-1", "ucat-1@pgd-1", "heavy", "heavy@pgd-1",
    ]  # fmt: skip
    assert views[3] == StudyView("captions", "UCAT", "clean", "ucat-1")


def test_every_view_is_a_posterior(config, spec):
    views = studies.study_views(spec, spec.datasets, spec.attacks)
    assert {view.posterior for view in views} <= set(config.posteriors)


def test_hits_are_predictions_of_classes_and_scores_of_captions(config, spec):
    view = StudyView("shapes-classes", "CLIP", "aa", "plain")
    assert studies.hits_file(config, spec, view) == "results/predictions/shapes-classes/test/plain@aa.parquet"
    scores = studies.hits_file(config, spec, view._replace(dataset="captions", view="clean"))
    assert scores == "results/scores/captions/test/plain.parquet"


def test_attacks_of_the_library_are_not_used_with_several_labels(config, spec):
    assert studies.multilabel_attacks(config, spec) == ["noise", "pgd-1", "own", "pgd-4"]


def test_attacks_of_a_study_include_parts_of_worst_cases(config, spec):
    assert list(studies.study_attacks(config, spec)) == ["noise", "pgd-1", "aa", "own", "pgd-4", "ce"]


def test_worst_case_stops_early_if_one_of_its_attacks_does(config, spec):
    assert studies.early_stopped_attacks(config, spec) == []
    early = VALUES["attacks"] | {"pgd-4": {"kind": "pgd", "epsilon": 4, "early_stop": True}}
    assert studies.early_stopped_attacks(load_config(VALUES | {"attacks": early}), spec) == ["own", "pgd-4"]


def test_training_epsilons_are_those_of_all_encoders(config, spec):
    assert studies.training_epsilons(config, spec) == [1.0, 2.0]


def test_models_are_methods_of_the_paper_only_with_its_settings(config, spec):
    assert studies.paper_objectives(config, spec) == {"CLIP": "clip", "UCAT": "ucat", "10 UCAT": None}
    other = spec.model_copy(update={"models": {"UCAT": ["ucat-1"]}})
    assert studies.paper_objectives(config, other) == {"UCAT": None}


@pytest.mark.parametrize(
    ("named", "epsilons"), [([], {"pgd-1": 1.0, "pgd-4": 4.0}), (["own", "aa"], {"own": 4.0, "aa": 2.0})]
)
def test_figure_shows_the_largest_group_of_attacks_or_those_named(config, named, epsilons):
    figure = RobustnessFigure(kind="robustness", robustness="mine", attacks=named)
    assert studies.shown_epsilons(config, figure) == epsilons


@pytest.mark.parametrize(
    ("name", "allowed"), [("ucat", True), ("ucat-ablation", True), ("ucat-checks", False), ("a-uncertainty", False)]
)
def test_paths_of_a_study_are_not_mistaken_for_another_study(name, allowed):
    assert (re.fullmatch(studies.STUDY_PATTERN, name) is not None) == allowed


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({"attacks": ["pgd-2"]}, r"robustness\.mine\.attacks: no attack 'pgd-2'; did you mean 'pgd-"),
        ({"baseline": "CLOP"}, r"robustness\.mine\.baseline: no model 'CLOP'; did you mean 'CLIP'"),
        ({"models": {"m": ["plane"]}}, r"robustness\.mine\.models\.m: no encoder 'plane'; did you mean 'plain'"),
        ({"models": {"m": ["plain", "plain"]}}, r"models\.m: an encoder is listed twice"),
        ({"models": {"m": ["taken"]}}, r"models\.m: 'taken' is a posterior of another kind or encoder as well"),
        ({"models": {"m": ["gelu"]}}, r"models\.m: 'gelu' is for another protocol than corrected"),
        ({"datasets": ["caption"]}, r"robustness\.mine\.datasets\.dataset: no data set 'caption'"),
        ({"split": "tset"}, r"robustness\.mine\.datasets\.split: .* has no split 'tset'; did you mean 'test'"),
        ({"datasets": ["absent"]}, r"robustness\.mine\.datasets: 'absent' is a variant.*name 'captions'"),
        ({"datasets": ["given"]}, r"datasets: 'given' holds embeddings, not images that can be attacked"),
        (
            {"datasets": ["coco"], "multilabel": []},
            r"images of 'coco' have several classes; name it under .*multilabel",
        ),
        ({"multilabel": ["captions"], "datasets": ["shapes-classes"]}, r"'captions' is no data set of classes"),
    ],
)
def test_mistake_in_a_study_is_reported_with_its_key(study, message):
    with pytest.raises(OvertopError, match=message):
        load_config(changed(**study))


def test_name_of_a_study_cannot_end_as_its_files_do():
    with pytest.raises(OvertopError, match=r"robustness\.a-checks: a study's name cannot end in"):
        load_config(VALUES | {"robustness": {"a-checks": VALUES["robustness"]["mine"]}})


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ({"kind": "robustness", "robustness": "min"}, r"figures\.f\.robustness: no robustness study 'min'"),
        (
            {"kind": "robustness", "robustness": "mine", "attacks": ["ce"]},
            r"figures\.f\.attacks: no attack of the study",
        ),
        (
            {"kind": "attack_effect", "robustness": "mine", "dataset": "coco", "attack": "aa"},
            r"f\.dataset: no data set of",
        ),
        (
            {"kind": "attack_effect", "robustness": "mine", "dataset": "captions", "attack": "aa", "models": ["CLOP"]},
            r"figures\.f\.models: no model of the study 'CLOP'",
        ),
        (
            {"kind": "attack_effect", "robustness": "mine", "dataset": "captions", "attack": "aa", "estimators": ["x"]},
            r"figures\.f\.estimators: no estimator 'x'",
        ),
    ],
)
def test_mistake_in_a_figure_of_a_study_is_reported_with_its_key(figure, message):
    with pytest.raises(OvertopError, match=message):
        load_config(VALUES | {"figures": {"f": figure}})
