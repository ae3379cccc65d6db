"""Files of the configuration: mistakes that YAML accepts, and the place of those that it does not."""

import pytest

from helpers.pipeline import read_committed_config
from overtop.errors import OvertopError
from overtop.pipeline.config_files import ConfigFile, find_origin, read_config_files
from overtop.pipeline.loading import load_config

TWICE = "and YAML would take only the last; write one"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", f"line 3: a is already in line 1, {TWICE} `a:`, or put your own entries into another"),
        ("x:\n  c: 1\n  d: 2\n  c: 3\n", f"line 4: x.c is already in line 2, {TWICE} `c:`"),
        ("x: [{k: 1, k: 2}]\n", f"line 1: x.0.k is already in line 1, {TWICE} `k:`"),
        ('{"a": 1,\n"a": 2}', "line 2: a is already in line 1"),
        ("a:\n\tb: 1\n", "line 2, column 1: a tab indents this line; use spaces"),
        ("a:\n  b: 1\n\tc: 2\n", "line 3, column 1: a tab indents this line; use spaces"),
        ("a: [1, 2\nb: 3\n", "line 2, column 2: the bracket that opens in line 1, column 4 is not closed"),
        ("a: {b: 1\nc: 3\n", "line 2, column 2: the bracket that opens in line 1, column 4 is not closed"),
        ("a: {\n", "line 2, column 1: a value is missing, or a bracket that opens above is not closed"),
        ("a:\n  b: 1\n c: 2\n", "line 3, column 2: is not indented like the lines above; give all keys of one level"),
        ("a: 1\n  b: 2\n", "line 2, column 4: has one `: ` too many, or is indented too deeply"),
        ("a: 'x\nb: 1\n", "line 3, column 1: the quote that opens in line 1, column 4 is not closed"),
        ("a: 1\nbc\nd: 2\n", "line 2, column 1: has no `: ` after its key; write `key: value`"),
        ("a: *x\n", "line 1, column 4: a value that starts with `*` is an alias of an anchor that does not exist"),
        ("a: @x\n", "line 1, column 4: a value cannot start with `@`; put it in quotes"),
        ("a: 1\n---\nb: 1\n", "line 2, column 1: starts a second document; remove `---`"),
        ("a: !x 1\n", "line 1, column 4: is not valid YAML (could not determine a constructor for the tag '!x')"),
        ("? [a]\n: 1\n", "line 1, column 3: a list or a mapping cannot be a key"),
        ("a: \x01\n", "is not valid YAML (unacceptable character #x0001"),
        ("- a\n", "has no keys; write `key: value`, as in config.yaml"),
        ("", "has no keys; write `key: value`, as in config.yaml"),
    ],
)
def test_mistake_in_yaml_is_one_line_with_its_place(tmp_path, monkeypatch, text, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(OvertopError) as caught:
        read_config_files(["mine.yaml"])
    assert str(caught.value).startswith(f"mine.yaml: {line}")
    assert "\n" not in str(caught.value)


def test_mistakes_of_all_files_are_reported_at_once(tmp_path):
    (tmp_path / "a.yaml").write_text("a: 1\na: 2\nb: {c: 1, c: 2}\n")
    (tmp_path / "b.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(OvertopError) as caught:
        read_config_files([tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "none.yaml", tmp_path])
    lines = str(caught.value).replace(f"{tmp_path}", "HERE").splitlines()
    assert [line.partition(";")[0] for line in lines] == [
        "HERE/a.yaml: line 2: a is already in line 1, and YAML would take only the last",
        "HERE/a.yaml: line 3: b.c is already in line 3, and YAML would take only the last",
        "HERE/b.yaml: is not a text in UTF-8 (invalid start byte)",
        "HERE/none.yaml: cannot be read (no such file or directory)",
        "HERE: cannot be read (is a directory)",
    ]


def test_merge_key_and_aliases_are_no_repeated_keys(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &x {b: 1}\nc: *x\nd: {<<: *x, b: 2}\n")
    [file] = read_config_files([tmp_path / "a.yaml"])
    assert file.values == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 2}}


def test_committed_files_have_no_mistake(repo, monkeypatch):
    monkeypatch.chdir(repo)
    names = ["workflow/sources.yaml", "workflow/robustness.yaml", "config.yaml"]
    assert [file.name for file in read_config_files(names)] == names


FILES = [
    ConfigFile("config.yaml", {"tables": {"demo": {"split": "test"}, "a.b": {"datasets": ["x"]}}}),
    ConfigFile("mine.yaml", {"tables": {"demo": {"positives": ["extended"]}, "mine": {}}}),
    ConfigFile("--config", {"mirorr": "x"}),
]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("tables.demo.split: no", "config.yaml"),
        ("tables.demo.positives.0: no", "mine.yaml"),
        ("tables.demo.estimators: is missing", "mine.yaml"),
        ("tables.a.b.datasets.0: no", "config.yaml"),
        ("tables.mine.datasets: is missing", "mine.yaml"),
        ("mirorr: unknown key", "--config"),
        ("datasets: is missing", "config.yaml"),
    ],
)
def test_key_comes_from_the_last_file_that_has_it(line, name):
    assert find_origin(FILES, line) == name


def test_message_names_the_file_of_its_key(repo):
    mine = {"tables": {"mine": {"datasets": ["shapez"], "posteriors": ["shapes"]}}}
    values = read_committed_config(repo)
    files = [ConfigFile("config.yaml", values), ConfigFile("mine.yaml", mine)]
    merged = values | {"tables": values["tables"] | mine["tables"]}
    with pytest.raises(OvertopError, match=r"^mine\.yaml: tables\.mine\.datasets: no data set 'shapez'; did you mean"):
        load_config(merged, files)
