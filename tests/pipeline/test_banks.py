"""Which bank a split gets, and which declarations are refused."""

import pytest

from overtop.errors import OvertopError
from overtop.pipeline.banks import Bank, find_bank
from overtop.pipeline.loading import load_config

VALUES = {
    "bank": {"split": "val"},
    "datasets": {
        "shapes": {"kind": "shapes"},
        "own": {"kind": "shapes", "bank": {"split": "train", "size": 500, "seed": 2}},
        "none": {"kind": "shapes", "bank": None},
        "foreign": {"kind": "table", "source": "x", "bank": {"dataset": "shapes", "split": "val", "size": 9}},
        "table": {"kind": "table", "source": "x"},
        "counted": {
            "kind": "table",
            "source": "x",
            "expect": {name: {"images": 1, "captions": 1} for name in ("val", "test")},
        },
        "clip": {"kind": "embeddings", "splits": {"val": "a.npz", "test": "b.npz"}},
        "one": {"kind": "embeddings", "splits": {"test": "b.npz"}},
        "held": {
            "kind": "embeddings",
            "splits": {"val": "a.npz", "test": "b.npz"},
            "held_out": {"half": {"of": "val", "share": 0.5}},
            "bank": {"split": "half"},
        },
        "held-table": {"kind": "table", "source": "x", "held_out": {"val": {"of": "train"}}},
        "part": {"kind": "variant", "of": "held", "images": 9},
        "variant": {"kind": "variant", "of": "own", "absent": 0.5},
        "variant-clip": {"kind": "variant", "of": "clip", "absent": 0.5},
    },
    "encoders": {"e": {"architecture": "shapes-vit", "train": {"dataset": "shapes"}}},
    "posteriors": {
        "p": {"kind": "deterministic", "encoder": "e"},
        "d": {"kind": "mc_dropout", "encoder": "e"},
        "imported": {"kind": "imported"},
    },
    "tables": {"t": {"datasets": ["shapes"], "posteriors": ["p"]}},
}


def changed(**sections):
    """VALUES with entries added to some sections, or other values of top-level keys."""
    return VALUES | {
        key: VALUES[key] | value if isinstance(VALUES.get(key), dict) and key != "bank" else value
        for key, value in sections.items()
    }


@pytest.mark.parametrize(
    ("dataset", "split", "expected"),
    [
        ("shapes", "test", Bank("shapes", "val", None, 0)),
        ("shapes", "train", Bank("shapes", "val", None, 0)),
        ("shapes", "val", None),
        ("own", "val", Bank("own", "train", 500, 2)),
        ("own", "test", Bank("own", "train", 500, 2)),
        ("own", "train", None),
        ("none", "test", None),
        ("foreign", "val", Bank("shapes", "val", 9, 0)),
        ("table", "test", None),
        ("counted", "test", Bank("counted", "val", None, 0)),
        ("clip", "test", Bank("clip", "val", None, 0)),
        ("one", "test", None),
        ("held", "val", Bank("held", "half", None, 0)),
        ("held", "test", Bank("held", "half", None, 0)),
        ("held", "half", None),
        ("held-table", "test", Bank("held-table", "val", None, 0)),
        ("part", "val", Bank("held", "half", None, 0)),
        ("variant", "test", Bank("own", "train", 500, 2)),
        ("variant", "train", None),
        ("variant-clip", "test", Bank("clip", "val", None, 0)),
    ],
)
def test_bank_of_split(dataset, split, expected):
    assert find_bank(load_config(VALUES), dataset, split) == expected


def test_search_index_has_the_bank_of_the_exact_pass():
    config = load_config(changed(ranking={"search": "hnsw"}))
    assert find_bank(config, "shapes", "test") == find_bank(load_config(VALUES), "shapes", "test") is not None


def test_bank_of_images_is_not_used_for_imported_embeddings():
    config = load_config(changed(bank={"dataset": "shapes", "split": "val"}))
    assert find_bank(config, "clip", "test") is None
    assert find_bank(config, "table", "test") == Bank("shapes", "val", None, 0)


@pytest.mark.parametrize(
    ("bank", "dataset", "label", "name"),
    [
        (Bank("d", "val", None, 0), "d", "d/val", "val"),
        (Bank("d", "val", 500, 1), "d", "d/val/500", "val-500-seed1"),
        (Bank("other", "val", None, 0), "d", "other/val", "other.val"),
    ],
)
def test_bank_is_named_in_tables_and_paths(bank, dataset, label, name):
    assert (bank.label, bank.path_name(dataset)) == (label, name)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"bank": {"split": "vall"}}, r"bank\.split: no data set with a split 'vall'; did you mean 'val'"),
        ({"bank": {"dataset": "shape", "split": "val"}}, r"bank\.dataset: no data set 'shape'; did you mean 'shapes'"),
        ({"bank": {"split": "val", "sise": 3}}, r"bank\.sise: unknown key; did you mean 'size'"),
        ({"bank": {"split": "val", "size": 0}}, r"bank\.size: .*at least 1"),
        (
            {"datasets": {"x": {"kind": "shapes", "bank": {"split": "dev"}}}},
            r"datasets\.x\.bank\.split: data set 'x' has no split 'dev'",
        ),
        (
            {"datasets": {"x": VALUES["datasets"]["one"] | {"bank": {"dataset": "shapes", "split": "val"}}}},
            r"datasets\.x\.bank: 'shapes' and 'x' are not of the same encoder; imported embeddings need an imported",
        ),
        (
            {
                "datasets": {"x": {"kind": "shapes", "bank": {"split": "test"}}},
                "tables": {"x": {"datasets": ["x"], "posteriors": ["p"]}},
            },
            r"datasets\.x\.bank\.split: 'test' is evaluated itself, and then the bank is not used; name another",
        ),
        (
            {"datasets": {"x": {"kind": "shapes", "bank": {"dataset": "variant", "split": "val"}}}},
            r"datasets\.x\.bank\.dataset: 'variant' is a variant, .*name 'own'",
        ),
        (
            {"datasets": {"x": {"kind": "variant", "of": "own", "absent": 0.5, "bank": {"split": "val"}}}},
            r"datasets\.x\.bank: unknown key",
        ),
        (
            {"figures": {"x": {"kind": "bank", "dataset": "variant", "posterior": "p"}}},
            r"figures\.x\.dataset: 'variant' is a variant",
        ),
        (
            {"tables": {"x": {"datasets": ["none"], "posteriors": ["p"], "estimators": ["margin", "bank_nnn"]}}},
            r"tables\.x\.estimators: 'bank_nnn' needs a bank .* set for example datasets\.none\.bank: \{split: train",
        ),
        (
            {
                "tables": {
                    "x": {"datasets": ["shapes"], "posteriors": ["p"], "split": "val", "estimators": ["bank_nnn"]}
                }
            },
            r"tables\.x\.estimators: 'bank_nnn' needs a bank of queries of another split than val",
        ),
        (
            {"cascades": {"x": {"dataset": "shapes", "cheap": "p", "expensive": "d", "cheap_estimator": "bank_nnn"}}},
            r"cascades\.x\.cheap_estimator: 'bank_nnn' needs a bank of queries of another split than test and val",
        ),
        (
            {
                "tables": {"x": {"datasets": ["none"], "posteriors": ["p"]}},
                "figures": {"x": {"kind": "rejection", "table": "x", "estimators": ["bank_nnn"]}},
            },
            r"figures\.x\.estimators: 'bank_nnn' needs a bank",
        ),
        (
            {"figures": {"x": {"kind": "bank", "dataset": "shapes", "posterior": "q"}}},
            r"figures\.x\.posterior: no posterior 'q'",
        ),
        (
            {
                "figures": {
                    "x": {
                        "kind": "bank",
                        "dataset": "shapes",
                        "posterior": "p",
                        "foreign": {"dataset": "clip", "split": "val"},
                    }
                }
            },
            r"figures\.x\.foreign: 'clip' and 'shapes' are not of the same encoder",
        ),
    ],
)
def test_mistake_in_a_bank_is_reported_with_key_and_fix(sections, message):
    with pytest.raises(OvertopError, match=message):
        load_config(changed(**sections))


def test_threshold_of_a_bank_estimator_is_possible_with_a_third_split():
    cascade = {"dataset": "own", "cheap": "p", "expensive": "d", "cheap_estimator": "bank_nnn"}
    load_config(changed(cascades={"x": cascade}))


def test_figures_remain_valid_without_a_bank():
    """They lack the bank estimators, like a table that lists no estimators."""
    figures = {
        "x": {"kind": "rejection", "table": "t", "estimators": ["bank_nnn", "margin"]},
        "y": {"kind": "bank", "dataset": "shapes", "posterior": "p"},
    }
    for search in ("flat", "stream"):
        load_config(changed(figures=figures, bank=None, ranking={"search": search}))
