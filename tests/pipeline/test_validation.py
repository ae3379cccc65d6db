"""Every wrong value of every key is one line of plain English with the keys of YAML."""

import copy
import re

import pytest
from pydantic import BaseModel, ValidationError

from helpers.pipeline import read_committed_config
from overtop.config.model import Config
from overtop.pipeline.likes import resolve_likes
from overtop.pipeline.validation import describe_errors

WRONG = (None, [], {}, "?", -1.5, True, {"nosuch": 1}, [[None]], [{}], float("nan"), {"a b": 1})

JARGON = (
    *("Input should", "should be", "should have", "should match", "Field required", "Value error", "Extra inputs"),
    *("discriminator", "constrained", "function-", "union", "tag", "literal", "valid ", "instance", "[key]"),
    *("dictionary", "string", "integer", "float", "pattern", "validat", "pydantic"),
)

MORE = {
    "datasets": {
        "photos": {"kind": "images", "source": "photos"},
        "log": {"kind": "texts", "source": "log.csv"},
        "mine": {
            "kind": "table",
            "source": "mine",
            "split": {"val": 0.2},
            "expect": {"val": {"images": 1, "captions": 5}},
        },
        "hub": {"kind": "huggingface", "source": "mine", "bank": {"split": "train"}, "held_out": {"x": {"of": "y"}}},
    },
    "answers": {
        "a": {
            "model": {"dataset": "shapes", "posterior": "shapes"},
            "queries": {"table": "log.csv"},
            "gallery": {"folder": "photos"},
        }
    },
}
"""Entries of kinds that the committed configuration does not have."""


@pytest.fixture(scope="module")
def values(repo):
    merged = resolve_likes(read_committed_config(repo))
    for section, entries in MORE.items():
        merged[section] = {**merged.get(section, {}), **entries}
    return merged


def fields(model, path=(), seen=None):
    """Yield the path of one field of each name of each model in a configuration, with the values that contain it."""
    seen = set() if seen is None else seen
    for name, field in type(model).model_fields.items():
        key = (*path, field.alias or name)
        if (type(model), name) not in seen:
            seen.add((type(model), name))
            yield key
        value = getattr(model, name)
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
        for part, each in [((), value), *(((part,), each) for part, each in inner)]:
            if isinstance(each, BaseModel):
                yield from fields(each, (*key, *part), seen)


def with_value(values, path, value):
    """A configuration with only the entry of a path, in which that value is replaced."""
    start = {"datasets": {}, "posteriors": {}, "tables": {}} | {path[0]: values.get(path[0])}
    if len(path) > 2 and isinstance(start[path[0]], dict):
        start[path[0]] = {path[1]: values[path[0]].get(path[1])}
    node = start = copy.deepcopy(start)
    for part in path[:-1]:
        if isinstance(node, dict) and node.get(part) is None:
            node[part] = {}
        node = node[part]
    node[path[-1]] = value
    return start


def messages(values):
    try:
        Config.model_validate(values)
    except ValidationError as error:
        return list(describe_errors(error))
    return []


def n_existing(values, key):
    """How many parts of a key, from its start, a configuration has, and how many it has in all."""
    parts, found = key.split("."), 0
    while parts:
        names = values if isinstance(values, dict) else range(len(values)) if isinstance(values, list) else ()
        for n in range(len(parts), 0, -1):
            name = next((name for name in names if str(name) == ".".join(parts[:n])), None)
            if name is not None:
                break
        else:
            break
        values, parts, found = values[name], parts[n:], found + 1
    return found, found + len(parts)


def test_wrong_values_of_all_keys_are_described_in_plain_english(values):
    paths = list(fields(Config.model_validate(values)))
    assert len(paths) > 250
    described = 0
    for path in paths:
        for value in WRONG:
            changed = with_value(values, path, value)
            for line in messages(changed):
                described += 1
                key, _, text = line.partition(": ")
                where = f"{'.'.join(map(str, path))} = {value!r}: {line}"
                assert text, where
                words = re.sub(r"'[^']*'|`[^`]*`|\(given.*", "", text)  # without names and values
                assert [word for word in JARGON if word in words] == [], where
                assert "\n" not in line, where
                found, parts = n_existing(changed, key)
                assert found >= parts - 1, where
    assert described > 3000


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("seed",), "x", "seed: must be a whole number (given: 'x')"),
        (("seed",), None, "seed: must be a whole number (given: nothing)"),
        (
            ("temperature", "softmax"),
            -1,
            "temperature.softmax: must be a number greater than 0, or 'fitted' (given: -1)",
        ),
        (
            ("temperature", "softmax"),
            "fited",
            "temperature.softmax: must be a number, or 'fitted' (given: 'fited'); did you mean 'fitted'?",
        ),
        (("datasets", "flickr8k-clip"), {"kind": "embeddings"}, "datasets.flickr8k-clip.splits: is missing; add it"),
        (("datasets", "shapes", "kind"), "shape", "datasets.shapes.kind: no kind 'shape'; did you mean 'shapes'?"),
        (("posteriors", "shapes"), {"kind": "deterministic"}, "posteriors.shapes.encoder: is missing; add it"),
        (
            ("tables", "my demo"),
            {"datasets": ["shapes"], "posteriors": ["shapes"]},
            "tables.my demo: must be a name of letters, digits, `_`, `.` and `-` that starts with a letter or a digit "
            "(given: 'my demo')",
        ),
        (("temperature",), 1, "temperature: must be keys with values (`KEY: VALUE`) (given: 1)"),
        (("targets",), [], "targets: must be a list of at least 1 value (given: [])"),
        (
            ("tables", "demo", "positives"),
            ["extnded"],
            "tables.demo.positives.0: must be 'labelled' or 'extended' (given: 'extnded'); did you mean 'extended'?",
        ),
        (
            ("encoders", "scenes-tecoa-0", "finetune", "objective"),
            {"kind": "agf"},
            "encoders.scenes-tecoa-0.finetune.objective.kind: no kind 'agf'; did you mean 'agft'?",
        ),
    ],
)
def test_wrong_value_is_one_line_with_its_fix(values, path, value, line):
    changed = copy.deepcopy(values)
    node = changed
    for part in path[:-1]:
        node = node.setdefault(part, {})
    node[path[-1]] = value
    assert messages(changed) == [line]
