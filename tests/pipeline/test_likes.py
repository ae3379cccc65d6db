import json

import jsonschema
import pytest
import yaml

from helpers.pipeline import read_committed_config
from overtop.errors import OvertopError
from overtop.pipeline.likes import SECTIONS, resolve_likes
from overtop.pipeline.loading import editor_schema, load_config


def test_entry_has_the_keys_of_the_other_and_its_own_at_every_depth():
    encoders = {
        "a": {"architecture": "x", "train": {"seed": 0, "epochs": 3, "weights": [1, 2]}},
        "b": {"like": "a", "train": {"seed": 1, "weights": [3]}},
        "c": {"train": {"epochs": 5}, "like": "b"},
    }
    resolved = resolve_likes({"seed": 4, "encoders": encoders})
    assert resolved == {
        "seed": 4,
        "encoders": {
            "a": encoders["a"],
            "b": {"architecture": "x", "train": {"seed": 1, "epochs": 3, "weights": [3]}},
            "c": {"architecture": "x", "train": {"seed": 1, "epochs": 5, "weights": [3]}},
        },
    }
    assert list(resolved["encoders"]["c"]["train"]) == ["seed", "epochs", "weights"]
    assert encoders["b"] == {"like": "a", "train": {"seed": 1, "weights": [3]}}


def test_null_of_its_own_takes_the_place_of_a_mapping():
    resolved = resolve_likes({"datasets": {"a": {"bank": {"split": "val"}}, "b": {"like": "a", "bank": None}}})
    assert resolved["datasets"]["b"] == {"bank": None}


@pytest.mark.parametrize(
    ("entries", "lines"),
    [
        ({"abc": {}, "b": {"like": "abd"}}, ["tables.b.like: no entry 'abd' in tables; did you mean 'abc'?"]),
        ({"a": {}, "b": {"like": 3}}, ["tables.b.like: no entry 3 in tables; known: a"]),
        ({"a": {}, "b": {"like": ["a"]}}, ["tables.b.like: no entry ['a'] in tables; known: a"]),
        ({"a": {"like": "a"}}, ["tables.a.like: a is like a; remove `like` from one of them"]),
        (
            {"a": {"like": "b"}, "b": {"like": "a"}, "c": {"like": "a"}},
            [
                "tables.a.like: a is like b is like a; remove `like` from one of them",
                "tables.b.like: b is like a is like b; remove `like` from one of them",
            ],
        ),
        (
            {"a": {"like": "x"}, "b": {"like": "a"}, "c": {"like": "c"}},
            [
                "tables.a.like: no entry 'x' in tables; known: b, c",
                "tables.c.like: c is like c; remove `like` from one of them",
            ],
        ),
    ],
)
def test_mistaken_likes_are_one_line_each(entries, lines):
    with pytest.raises(OvertopError) as error:
        resolve_likes({"tables": entries})
    assert str(error.value).splitlines() == lines


def test_configuration_with_mistaken_like_is_rejected(repo):
    values = read_committed_config(repo)
    values["encoders"]["shapes-1"]["like"] = "shapes-9"
    with pytest.raises(OvertopError, match=r"^config\.yaml: encoders\.shapes-1\.like: no entry 'shapes-9' in encoders"):
        load_config(values)


def test_change_of_one_member_changes_all_that_are_like_it(repo):
    values = read_committed_config(repo)
    values["encoders"]["shapes-0"]["train"]["epochs"] = 2
    members = [load_config(values).encoders[name].train for name in values["posteriors"]["shapes-ensemble"]["members"]]
    assert [member.epochs for member in members] == [2] * 5
    assert [member.seed for member in members] == [0, 1, 2, 3, 4]


def test_editor_schema_takes_like_in_every_section(repo):
    schema = json.loads(editor_schema())
    values = read_committed_config(repo)
    jsonschema.validate(values, schema)
    for section in SECTIONS:
        jsonschema.validate(values | {section: {"a": {"like": "b"}}}, schema)
        for entry in ({"like": 3}, {"lik": "b"}):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(values | {section: {"a": entry}}, schema)


@pytest.mark.parametrize("name", ["config.yaml", "workflow/robustness.yaml", "workflow/sources.yaml"])
def test_committed_configuration_has_no_aliases(repo, name):
    """Programs that edit YAML would write them out, or change what all of them mean."""
    assert not [token for token in yaml.scan((repo / name).read_text()) if isinstance(token, yaml.AnchorToken)]
