"""Answers in config.yaml: directions, sources and checks."""

import copy

import pytest

from overtop.config.answers import Items
from overtop.errors import OvertopError
from overtop.estimators.registry import REGISTRY
from overtop.pipeline import answers, paths
from overtop.pipeline.loading import load_config
from overtop.terms import AUTO_ESTIMATORS, RANKING_ESTIMATORS

VALUES = {
    "mirror": "/mirror",
    "bank": {"split": "train"},
    "estimators": ["top1_similarity", "adversarial_exact"],
    "datasets": {
        "mine": {"kind": "shapes"},
        "other": {"kind": "table", "source": "/data"},
        "single": {"kind": "shapes", "images": {"val": 9}, "bank": None},
        "birds": {"kind": "classes", "files": {"layout": "folders", "source": "/birds", "splits": {"val": "v"}}},
        "photos": {"kind": "images", "source": "photos"},
        "ready": {"kind": "embeddings", "splits": {"val": "val.npz"}},
        "absent": {"kind": "variant", "of": "mine", "absent": 0.5},
    },
    "encoders": {"vit": {"architecture": "ViT-B-32", "tag": "openai"}},
    "attacks": {"pgd": {"kind": "pgd", "epsilon": 1}},
    "posteriors": {
        "clip": {"kind": "deterministic", "encoder": "vit"},
        "old": {"kind": "deterministic", "encoder": "vit", "protocols": ["published"]},
        "imported": {"kind": "imported"},
    },
    "tables": {},
    "answers": {
        "support": {
            "model": {"dataset": "mine", "posterior": "clip"},
            "gallery": {"folder": "photos", "shards": 4},
            "queries": {"table": "queries.csv"},
        }
    },
}


def with_answer(**changes):
    values = copy.deepcopy(VALUES)
    values["answers"]["support"] |= changes
    return values


def with_model(**changes):
    return with_answer(model={"dataset": "mine", "posterior": "clip"} | changes)


def direction_of(**changes):
    config = load_config(with_answer(**changes))
    return answers.find_direction(config, config.answers["support"])


def test_folder_and_table_are_data_sets_of_their_own():
    config = load_config(VALUES)
    gallery, queries = config.datasets["support.gallery"], config.datasets["support.queries"]
    assert (gallery.kind, gallery.source, gallery.shards) == ("images", "photos", 4)
    assert (queries.kind, queries.source) == ("texts", "queries.csv")
    for role, modality, shards in (("gallery", "image", 4), ("queries", "text", 1)):
        items = answers.find_items(config, "support", role)
        assert items == (f"support.{role}", "all", modality)
        files = paths.posterior_shards(config, items.dataset, items.split, config.posteriors["clip"], modality)
        assert len(files) == shards
        assert answers.derived_from(config, items.dataset) is not None
    assert answers.derived_from(config, "photos") is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "t2i"),
        ({"queries": {"folder": "new"}, "gallery": {"dataset": "mine"}}, "i2t"),
        ({"queries": {"embeddings": "new.npy"}}, "t2i"),
        ({"queries": {"embeddings": "new.npy"}, "gallery": {"table": "texts.csv"}}, "i2t"),
        ({"queries": {"embeddings": "q.npy"}, "gallery": {"embeddings": "g.npy"}, "direction": "i2t"}, "i2t"),
        ({"queries": {"dataset": "mine"}, "gallery": {"dataset": "mine"}, "direction": "t2i"}, "t2i"),
        ({"queries": {"dataset": "mine"}, "gallery": {"dataset": "photos"}}, "t2i"),
        ({"queries": {"embeddings": "new.npy"}, "gallery": {"dataset": "birds"}}, "i2t"),
    ],
)
def test_direction_follows_from_the_queries_else_from_the_gallery(changes, expected):
    assert direction_of(**changes) == expected


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ({"dataset": "mine"}, ("mine", "val", "image")),
        ({"dataset": "mine", "split": "test"}, ("mine", "test", "image")),
        ({"dataset": "photos"}, ("photos", "all", "image")),
        ({"embeddings": "gallery.npy"}, ("gallery.npy", "image")),
    ],
)
def test_split_of_items_is_declared_or_the_only_one_or_that_of_the_model(items, expected):
    config = load_config(with_answer(gallery=items))
    assert answers.find_items(config, "support", "gallery") == expected


@pytest.mark.parametrize(
    ("operating", "dataset", "expected"),
    [
        ({}, "mine", ["bank_nnn"]),
        ({}, "single", ["max_softmax"]),
        ({"estimator": "margin"}, "mine", ["margin"]),
        ({"estimator": "auto"}, "mine", list(AUTO_ESTIMATORS)),
        ({"estimator": "auto"}, "single", list(AUTO_ESTIMATORS[2:])),
        ({"estimator": "auto", "mapping": "softmax"}, "mine", ["bank_nnn", "bank_softmax", "max_softmax"]),
    ],
)
def test_candidates_need_a_ranking_and_perhaps_a_bank(operating, dataset, expected):
    config = load_config(VALUES | {"operating": operating})
    assert answers.candidate_estimators(config, dataset, "val") == expected
    has_bank = answers.model_bank(config, dataset, "val") is not None
    assert has_bank == ("bank_nnn" in expected)


def test_estimators_of_confidence_models_need_nothing_but_a_ranking_and_a_bank():
    expected = [n for n, e in REGISTRY.items() if e.needs <= {"softmax", "bank"} and "corrected" in e.protocols]
    assert list(RANKING_ESTIMATORS) == expected
    assert set(AUTO_ESTIMATORS) <= set(expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (with_model(dataset="mien"), r"answers\.support\.model\.dataset: no data set 'mien'; did you mean 'mine'"),
        (with_model(posterior="clap"), r"answers\.support\.model\.posterior: no posterior 'clap'; did you mean"),
        (with_model(posterior="clip@pgd"), r"model\.posterior: new images are not attacked; use 'clip'"),
        (with_model(posterior="old"), r"model\.posterior: 'old' is for protocol 'published', confidence"),
        (with_model(posterior="imported"), r"answers\.support\.model: posterior 'imported' cannot be used with data"),
        (
            with_model(split="dev"),
            r"answers\.support\.model\.split: data set 'mine' has no split 'dev', its splits: .*`held_out`.*overtop",
        ),
        (with_model(dataset="photos"), r"model\.dataset: 'photos' has images only; .*`held_out`.*`overtop trust`"),
        (with_model(dataset="birds"), r"model\.dataset: 'birds' has classes, which rank no images"),
        (
            with_answer(precision=0.85),
            r"answers\.support\.precision: the .* no threshold for 0\.85; use one of 0\.8, 0",
        ),
        (
            with_answer(queries={"folder": "a"}),
            r"answers\.support: queries and gallery are both images; one must be images, the other texts",
        ),
        (with_answer(gallery={"table": "b.csv"}), r"answers\.support: queries and gallery are both texts"),
        (
            with_answer(queries={"embeddings": "a.npy"}, gallery={"embeddings": "b.npy"}),
            r"answers\.support\.direction: is missing; give t2i .* or i2t",
        ),
        (with_answer(direction="i2t"), r"answers\.support\.direction: queries and gallery are those of t2i; remove it"),
        (with_answer(queries={"dataset": "mien"}), r"answers\.support\.queries\.dataset: no data set 'mien'"),
        (with_answer(queries={"dataset": "mine", "split": "x"}), r"answers\.support\.queries\.split: .* no split 'x'"),
        (with_answer(queries={"dataset": "ready"}), r"answers\.support\.queries: posterior 'clip' cannot be used with"),
        (
            with_model(dataset="ready", posterior="imported"),
            r"answers\.support\.queries: posterior 'imported' has no encoder that could embed texts",
        ),
        (
            with_answer(queries={"table": "a.csv", "folder": "b"}),
            r"give exactly one of dataset, .*given: folder, table",
        ),
        (with_answer(queries={}), r"give exactly one of dataset, folder, table, embeddings; given: -"),
        (with_answer(queries={"table": "a.csv", "split": "x"}), r"`split` belongs to `dataset`; remove it"),
        (with_answer(queries={"embeddings": "a.npy", "shards": 2}), r"`shards` belongs to `folder` or `table`; remove"),
        (with_answer(queries={"table": "a", "on_error": "skip"}), r"`on_error` belongs to `folder`; remove it"),
        (with_answer(precison=0.9), r"answers\.support\.precison: unknown key; did you mean 'precision'"),
        (
            VALUES | {"datasets": VALUES["datasets"] | {"support.queries": {"kind": "shapes"}}},
            r"datasets\.support\.queries: this name is used for answers\.support\.queries; choose another one",
        ),
        (VALUES | {"operating": {"estimator": "margn"}}, r"operating\.estimator: no estimator 'margn'; did you mean"),
        (
            VALUES | {"operating": {"estimator": "adversarial_exact"}},
            r"operating\.estimator: 'adversarial_exact' cannot be computed for new queries from a ranking alone",
        ),
        (
            VALUES | {"operating": {"estimator": "margin", "mapping": "softmax"}},
            r"operating\.mapping: 'margin' is no probability; use logistic, isotonic or auto",
        ),
        (
            VALUES | {"operating": {"estimator": "bank_nnn"}, "bank": None},
            r"operating\.estimator: 'bank_nnn' needs a bank of queries of another split than val",
        ),
    ],
)
def test_mistake_is_one_line_that_names_the_key(values, message):
    with pytest.raises(OvertopError, match=message) as caught:
        load_config(values)
    assert all(line.startswith("config.yaml: ") for line in str(caught.value).splitlines())


def test_location_is_absolute_or_inside_the_mirror(tmp_path):
    config = load_config(VALUES | {"mirror": str(tmp_path)})
    (tmp_path / "queries.csv").touch()
    assert answers.locate(config, "answers.support.queries.table", "queries.csv") == tmp_path / "queries.csv"
    assert answers.locate(config, "key", str(tmp_path / "queries.csv")) == tmp_path / "queries.csv"
    with pytest.raises(OvertopError, match=r"key: .*photos does not exist; correct the path, or `mirror`"):
        answers.locate(config, "key", "photos")
    with pytest.raises(OvertopError, match=r"key: 'photos' is relative to the mirror, but no mirror is set"):
        answers.locate(load_config(VALUES | {"mirror": None}), "key", "photos")


def test_modality_of_items_is_that_of_a_folder_or_a_table():
    assert Items(folder="a").modality == "image"
    assert Items(table="a").modality == "text"
    assert Items(embeddings="a").modality is None
